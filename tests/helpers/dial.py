"""A classifier of tests with a dial whose best place is known, and a record of its fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.helpers.suites import Quick
from vidseg import plugins
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.head import LinearHead
from vidseg.errors import DataError, Stopped
from vidseg.plugins import registry
from vidseg.types import TrainingSet

FITS: list[tuple[float, frozenset[str]]] = []
"""Dial and training videos of every fit."""
LOADS: list[float] = []
"""Dial of every classifier that loaded a model."""
LAST: list[int] = []
"""Stops the fit after so many."""


class Dial(Quick):
    """Finds the most at 0; far above it finds nothing; below it cannot be fitted.

    Args:
        dial: what scores are lowered by.
        positive_weight: is not used.
    """

    def __init__(self, dial: float = 7.0, positive_weight: float = 1.0) -> None:
        super().__init__()
        self.dial = dial

    def fit(self, train: TrainingSet, handle: Any, ctx: FitContext) -> LinearHead:
        if LAST and len(FITS) >= LAST[0]:
            raise Stopped("stopped by the test")
        assert ctx.init is None
        FITS.append((self.dial, frozenset(ref.video for ref in train.refs)))
        if self.dial < 0:
            raise DataError("the loss is not finite")
        head = super().fit(train, handle, ctx)
        return replace(head, bias=head.bias - self.dial)

    def load(self, state: Mapping[str, Any], handle: Any) -> LinearHead:
        LOADS.append(self.dial)
        return super().load(state, handle)


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``dial`` known, and forget its fits."""
    own = plugins.Plugin("classifier", "dial", "tests.helpers.dial:Dial", "tests", "1")
    known = registry.all_plugins()
    monkeypatch.setattr(registry, "all_plugins", lambda: (*known, own))
    for kept in (FITS, LOADS, LAST):
        kept.clear()
