"""The fitted linear classifier: one 1x1 convolution per level, whose score is resized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from vidseg.classifiers.pyramid import Float32, Floats, Pyramid, as_tensor
from vidseg.errors import DataError
from vidseg.types import Features, Scores, Size, State


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A fitted linear classifier on a pyramid; a :class:`vidseg.types.Head`.

    Attributes:
        weights: ``float32 (C_l,)`` for each level, on RAW features: the standardisation is folded
            in (``w / sigma``), dead channels have weight 0.
        bias: with the standardisation folded in (``b - sum w mu / sigma``).
        levels: the extractor's levels that it was trained on.
        fingerprint: the extractor that it was trained on.
        warm: what a later fit may start from: ``weight`` (standardised), ``bias``, ``mean`` and
            ``scale``, ``float64 (C,)`` or ``(1,)``; empty when the fit keeps nothing.
    """

    weights: tuple[Float32, ...]
    bias: float
    levels: tuple[int, ...]
    fingerprint: str
    warm: Mapping[str, Floats]

    def scores(self, features: Features, size: Size) -> Scores:
        """Return ``float32 (h, w)`` scores at ``size``.

        Args:
            features: ``(C_l, h_l, w_l)`` of the levels in ``self.levels``, in that order.
            size: size of the scores.

        Raises:
            DataError: the features are not of the levels that the head was trained on.
        """
        return cast("Scores", score_heads([self], features, size)[0])

    def export(self) -> State:
        """Return the head as the arrays from which :meth:`load` makes an equal one."""
        state: State = {f"weight.{i}": weight for i, weight in enumerate(self.weights)}
        state["bias"] = np.array([self.bias], np.float64)
        state["levels"] = np.array(self.levels, np.int64)
        state["extractor"] = np.frombuffer(self.fingerprint.encode(), np.uint8).copy()
        return state | {f"warm.{name}": np.asarray(value) for name, value in self.warm.items()}

    @classmethod
    def load(cls, state: Mapping[str, npt.NDArray[Any]], fingerprint: str) -> LinearHead:
        """Rebuild the head that :meth:`export` wrote.

        Raises:
            DataError: the state is not a linear head's, an array has another dtype or shape, or
                it belongs to another extractor.
        """
        try:
            trained_on = bytes(state["extractor"]).decode()
            levels = tuple(int(level) for level in state["levels"])
            weights = tuple(_vector(state, f"weight.{i}", "f4") for i in range(len(levels)))
            bias = float(_vector(state, "bias", "f8")[0])
        except KeyError as error:
            raise DataError(f"the model holds no array {error}, so it is no linear head") from None
        if trained_on != fingerprint:
            raise DataError(
                f"the model was trained on extractor {trained_on}, not on {fingerprint}",
                hint="name the extractor, weights and levels that it was trained with",
            )
        warm = {k.removeprefix("warm."): v for k, v in state.items() if k.startswith("warm.")}
        return cls(weights, bias, levels, fingerprint, warm)


def _vector(state: Mapping[str, npt.NDArray[Any]], name: str, dtype: str) -> npt.NDArray[Any]:
    array = state[name]
    if array.dtype != dtype or array.ndim != 1 or not len(array):
        raise DataError(
            f"the array {name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} (n,)"
        )
    return array


def score_heads(heads: Sequence[LinearHead], features: Features, size: Size) -> Float32:
    """Return the scores of many heads on one frame, ``float32 (K, h, w)``.

    One product per head and level; the K score maps are resized, never the features. Each head's
    scores are bit by bit those that it has alone.

    Args:
        heads: K heads that use the same levels.
        features: ``(C_l, h_l, w_l)`` of those levels, in the heads' order.
        size: size of the scores.

    Raises:
        DataError: the features' channels are not those of the heads.
    """
    given = tuple(len(level) for level in features)
    for head in heads:
        if tuple(len(weight) for weight in head.weights) != given:
            raise DataError(
                f"the head was trained on levels of {[len(w) for w in head.weights]} channels, "
                f"the features have {list(given)}",
                hint="use the extractor and the levels that it was trained with",
            )
    # head by head: a product of several rows sums in another order than one of a single row, and a
    # model's scores must not depend on which others are scored with it
    levels, pyramid = [as_tensor(level).float() for level in features], Pyramid.of(features, size)
    scores = np.empty((len(heads), *size), np.float32)
    for row, head in zip(scores, heads, strict=True):
        maps = [
            (as_tensor(weight)[None] @ level.flatten(1)).reshape(1, *level.shape[-2:])
            for weight, level in zip(head.weights, levels, strict=True)
        ]
        row[...] = pyramid.forward(maps).numpy()[0] + np.float32(head.bias)
    return cast("Float32", scores)
