"""The served model, as MLflow runs it: encoded images in, masks out.

MLflow copies this file into the model and executes it there (models from code). Input: a table
with a column ``image`` of encoded image files (base64 in a served request), or of
``uint8 (H, W, 3)`` arrays (nested lists in a served request). Output: one row an image, at the
image's own size: ``mask`` (PNG bytes, 0 and 255; base64 when served), ``height``, ``width``,
``positive_share``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from vidseg.errors import VidsegError
from vidseg.serving import predictor as served


class Refused(mlflow.MlflowException):  # type: ignore[misc]
    """A request that cannot be answered: HTTP 400, with one line that says why."""

    def __init__(self, text: str) -> None:
        self._text = text
        super().__init__(text, error_code=INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        """The line alone: MLflow's server would put the request before it, all 100 MB of it."""
        return self._text

    @message.setter
    def message(self, text: str) -> None:
        pass


class ServedModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Finds masks with a model of vidseg."""

    def load_context(self, context: Any) -> None:
        """Rebuild the model from the artifacts ``head`` and ``description``."""
        paths = context.artifacts
        self.predictor = served.load(Path(paths["head"]), Path(paths["description"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return the masks; ``params`` may hold another ``threshold`` than the experiment's.

        Raises:
            Refused: a row is no image.
        """
        threshold, task = (params or {}).get("threshold"), self.predictor.task
        try:
            images = served.as_images(_cells(model_input))
            rows = [task.answer(self.predictor.mask(image, threshold)) for image in images]
        except VidsegError as error:
            raise Refused(str(error)) from error
        return pd.DataFrame(rows, columns=[name for _, name in task.columns])


def _cells(given: Any) -> Iterator[Any]:
    """Yield the images of a table, of one array, or of a stack of arrays."""
    if isinstance(given, np.ndarray):
        yield from [given] if given.ndim == 3 else given
        return
    for cell in given["image"]:
        # {"inputs": {"image": [...]}} arrives as one cell that holds the list
        texts = isinstance(cell, list) and cell and isinstance(cell[0], str | bytes)
        yield from cell if texts else [cell]


mlflow.models.set_model(ServedModel())
