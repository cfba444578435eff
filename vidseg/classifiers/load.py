"""Loads a fitted model: the one place where its arrays are checked, for serving and the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.classifiers.base import Classifier
from vidseg.errors import DataError
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import Model

_HINT = "the model is damaged, or its fit went wrong: fit it again"


def load_model(
    classifier: Classifier,
    state: Mapping[str, npt.NDArray[Any]],
    handle: ExtractorHandle,
    *,
    where: object,
) -> Model:
    """Return the model of a state that :meth:`Model.export` made.

    Args:
        classifier: of the kind that fitted it.
        state: its arrays.
        handle: the extractor that it was fitted on.
        where: the file or the cell that errors name.

    Raises:
        DataError: a number that is not finite, a dtype that a model cannot have, or what the
            classifier refuses; names ``where``.
    """
    for name, array in state.items():
        if array.dtype.kind not in "biuf":
            raise DataError(f"the array {name} is {array.dtype}", where=where, hint=_HINT)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(
                f"the array {name} holds numbers that are not finite", where=where, hint=_HINT
            )
    try:
        return classifier.load(state, handle)
    except DataError as error:
        place = f"{where}: {error.where}" if error.where else where
        raise DataError(error.what, where=place, hint=error.hint or _HINT) from error
