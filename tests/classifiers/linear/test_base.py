"""What all linear classifiers share: parameters with texts, the names of times, C by its mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.training import TinyHandle, TinyTraining
from vidseg import plugins
from vidseg.classifiers.base import Budget, FitContext
from vidseg.classifiers.linear.base import LinearClassifier, point_cost, total_weight

LINEAR = ("pixel_svm", "liblinear", "block_liblinear", "sgd", "sgd_svm")
SHARED = {
    "standardise": ("bool", "true", "standardise each channel over all pixels"),
    "sigma_floor": ("float (>= 0, <= 1)", "0.1", "smallest standard deviation"),
    "levels": ("list[int] | null", "null", "levels of the extractor to use"),
}


@pytest.mark.parametrize("name", LINEAR)
def test_every_parameter_is_described(name: str) -> None:
    _, found = plugins.describe(plugins.find("classifier", name))
    assert all(parameter.doc for parameter in found)
    described = {p.name: (p.type, p.default, p.doc) for p in found}
    assert {"C", "C_mode", "positive_weight", *SHARED} <= set(described)
    for parameter, (kind, default, text) in SHARED.items():
        assert described[parameter][:2] == (kind, default)
        assert described[parameter][2].startswith(text)


@pytest.mark.parametrize("name", LINEAR)
def test_a_fit_records_its_times_under_one_name(name: str, tmp_path: Path) -> None:
    classifier = plugins.create("classifier", name)
    assert isinstance(classifier, LinearClassifier)
    handle, ctx = TinyHandle(), FitContext(workdir=tmp_path, budget=Budget(base=1))
    head = classifier.fit(TinyTraining(), handle, ctx)
    times = {fact: value for fact, value in ctx.facts.items() if "seconds" in fact}
    assert set(times) == {"solver_seconds", "cpu_seconds"}
    assert min(times.values()) > 0
    labelled = sum(np.count_nonzero(TinyTraining().mask(ref)) for ref in TinyTraining().refs)
    assert ctx.facts["points"] == labelled
    assert classifier.load(head.export(), handle).levels == head.levels == (0, 1, 2)


def test_the_cost_of_a_point_by_its_mode() -> None:
    weight = total_weight((10, 20), 3.0)
    assert (weight, point_cost(100.0, "mean", weight)) == (50.0, 2.0)
    assert point_cost(100.0, "sum", weight) == 100.0
