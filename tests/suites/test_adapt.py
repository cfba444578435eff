"""Another classifier on the command line: grids, followers, and pipelines that become one."""

from __future__ import annotations

import re
from typing import Any

import pytest

from vidseg.errors import UsageError
from vidseg.suites.suite import Suite, load_suite, make_suite

DATA = {"dataset": "synthetic:videos=4"}


def paper(*pipelines: str, **changes: Any) -> Suite:
    given = {name.replace("__", "."): value for name, value in changes.items()}
    return load_suite("paper", {**DATA, **given}, pipelines)


def every(classifier: str, *pipelines: str, **changes: Any) -> Suite:
    return paper(*pipelines, **{"pipelines.*.classifier": classifier}, **changes)


def test_a_network_drops_the_grid_and_pipelines_that_are_the_same_are_one() -> None:
    suite = every("vgg")
    assert list(suite.pipelines) == ["svm"]
    assert suite.tunings == suite.follows == {}
    assert suite.sensitivity == set()
    assert suite.notes == (
        "svm is not tuned: its classifier vgg has no C",
        "sgd does not take the choice of svm, which is not tuned",
        "svm, literal, sgd, vgg, unet, deep_unet train the same now: they are one pipeline, svm",
    )
    assert {arm.pipelines for arm in suite.arms} == {("svm",)}
    assert make_suite(suite.mapping()).mapping() == suite.mapping()


def test_the_grid_stays_where_the_classifier_has_the_parameter() -> None:
    suite = every("sgd")
    assert list(suite.pipelines) == ["svm"]
    assert str(suite.tunings["svm"]) == "C of 0.01, 0.1, 1, 10, 100"
    assert len(suite.notes) == 1
    assert list(load_suite("gain-curve", {**DATA, "pipelines.*.classifier": "sgd"}).tunings)


def test_a_stated_value_is_not_tuned() -> None:
    suite = every("pixel_svm:C=5")
    assert suite.tunings == {}
    assert suite.notes[0] == "svm is not tuned: its classifier states C=5"
    alone = paper(pipelines__sgd__classifier="sgd:C=100")
    assert alone.follows == {}
    assert list(alone.tunings) == ["svm"]
    assert alone.notes == ("sgd does not take the choice of svm: its classifier states C=100",)


def test_without_a_grid_nothing_follows() -> None:
    suite = paper(**{"pipelines.svm.tune": "none"})
    assert suite.tunings == suite.follows == {}
    assert list(suite.pipelines) == ["svm", "literal", "sgd"]
    assert suite.notes == ("sgd does not take the choice of svm, which is not tuned",)


def test_one_pipeline_that_becomes_another() -> None:
    suite = paper(pipelines__sgd__classifier="pixel_svm")
    assert list(suite.pipelines) == ["svm", "literal"]
    assert suite.notes == ("svm, sgd train the same now: they are one pipeline, svm",)
    noisy = next(arm for arm in suite.arms if arm.name == "1x20")
    assert noisy.pipelines == ("svm",)
    assert list(paper("sgd", pipelines__sgd__classifier="pixel_svm").pipelines) == ["svm"]


def test_an_extractor_merges_nothing() -> None:
    suite = paper(**{"pipelines.*.extractor": "filters"})
    assert list(suite.pipelines) == ["svm", "literal", "sgd"]
    assert suite.notes == ()


def test_a_grid_that_is_given_wins_or_is_refused() -> None:
    suite = every("pixel_svm:C=5", **{"pipelines.svm.tune": "C=2,C=3"})
    assert str(suite.tunings["svm"]) == "C of 2, 3"
    expected = "pipelines.svm.tune, as the command line has it: classifier 'vgg' has no parameter"
    with pytest.raises(UsageError, match=re.escape(expected)):
        every("vgg", **{"pipelines.svm.tune": "C=2,C=3"})
