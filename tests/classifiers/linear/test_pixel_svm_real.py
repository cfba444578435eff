"""The exact solver against liblinear on features of real frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks._frames import Bench
from benchmarks._judge import Judge
from benchmarks._methods import METHODS
from vidseg.classifiers.base import FitContext
from vidseg.types import Size

LOSS = "squared_hinge"


@pytest.mark.real
@pytest.mark.parametrize("cost", [0.01, 1.0])
def test_objective_weights_and_predictions_are_liblinears(
    samples: Path, tmp_path: Path, cost: float
) -> None:
    torch.set_num_threads(1)
    train, handle = Bench(samples, tmp_path).training("squeezenet", Size.parse("64x48"), 4)
    judge = Judge.of(train, handle)
    ours, theirs = FitContext(workdir=tmp_path), FitContext(workdir=tmp_path)
    mine = METHODS["pixel_svm"](train, handle, {"C": cost, "rung": 1e-11, "loss": LOSS}, ours)
    other = METHODS["liblinear -s 2"](train, handle, {"C": cost, "rung": 1e-8}, theirs)
    reference = judge.objective(other, cost, LOSS)
    assert judge.objective(mine, cost, LOSS) == pytest.approx(reference, rel=1e-6)
    np.testing.assert_allclose(mine, other, atol=1e-4)
    scores, points = judge.points.double() @ torch.from_numpy(mine), judge.points.double()
    differ = (scores > 0) != (points @ torch.from_numpy(other) > 0)
    assert float(differ.double().mean()) <= 1e-5
    assert not differ.any() or float(scores[differ].abs().max()) < 1e-3
    assert ours.facts["passes"] <= 25
