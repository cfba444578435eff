"""Configuration: everything resolved, read back equal, and refused with the option's name."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest
import yaml

from vidseg.errors import UsageError
from vidseg.experiment.config import DEFAULTS, RunConfig, make_config, read_config
from vidseg.plugins.spec import Spec
from vidseg.types import Size

CPU = {"device": "cpu", "threads": 2}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"image_size": "native", "mask_size": "64x48", "seed": 7, "test_stride": 5},
        {"mask_size": "same", "threshold": -0.5, "refit": False, "memory_budget": "1.5GB"},
        {"budget": "equal-steps", "epochs": 3, "max_time": 60, "memory_budget": 10**9},
        {"sampler": 20, "split": "k-fold:k=3", "dataset": "mot:C:\\data,classes=1,classes=7"},
        {"dataset": ["mot:/my masks:A", {"use": "masks", "path": "/B synthetic", "void": [9]}]},
        {"dataset": "mot:A masks:B,void=3 synthetic"},
        {"sampler": {"use": "1by20", "short": "all"}, "split": "fixed:test=01"},
    ],
)
def test_what_is_recorded_makes_the_same_configuration(options, tmp_path):
    config = make_config(CPU | options)
    assert config.mapping().keys() == DEFAULTS.keys()
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config.mapping(), sort_keys=False))
    assert make_config(read_config(file)) == config


def test_defaults_are_those_of_the_help():
    config = make_config(CPU)
    assert (config.image_size, config.mask_size) == (Size(240, 320), None)
    assert config.sampler == Spec("20", None, {"short": "error"})
    assert config.memory_budget == 8 * 10**9
    assert config.budget.rule == "paper"
    assert make_config({}).threads >= 1
    assert make_config({}).device in ("cpu", "cuda")


def test_every_field_is_recorded():
    fields = {field.name for field in dataclasses.fields(RunConfig)}
    labelling = {"train_labels", "refine", "prior"}
    grouped = {"budget", "epochs", "max_time", *labelling}
    assert fields - {"budget", "labelling"} == DEFAULTS.keys() - grouped


def test_names_say_what_differs_from_the_defaults():
    options = {"sampler": "successive:n=7,short=all", "classifier": "sgd"}
    assert make_config(CPU | options).name == "successive:n=7 sgd"
    assert make_config(CPU | {"sampler": "1by20:short=all"}).name == "1by20 pixel_svm"


def test_parameters_are_flat_and_dotted():
    params = make_config(CPU | {"sampler": "strided:every=5"}).params()
    assert params["sampler.name"] == "strided"
    assert params["sampler.every"] == 5
    assert params["sampler.n"] == "null"
    assert params["run.image_size"] == "320x240"
    assert params["run.mask_size"] == "null"
    assert params["split.name"] == "leave-one-group-out"
    assert all(isinstance(value, str | int | float | bool) for value in params.values())


def test_several_data_sets_are_parameters_with_a_place():
    params = make_config(CPU | {"dataset": ["mot:A", "masks:B,void=3"]}).params()
    assert params["dataset.name"] == "mot + masks"
    assert (params["dataset.1.name"], params["dataset.1.path"]) == ("mot", "A")
    assert (params["dataset.2.name"], params["dataset.2.void"]) == ("masks", "[3]")


@pytest.mark.parametrize(
    ("option", "value", "part"),
    [
        ("dataset", [], "the list is empty"),
        ("dataset", "mot:/my dir: x", "2 were read, mot:/my and dir:x: quote a path with spaces"),
        ("seed", -1, "int (>= 0)"),
        ("seed", True, "True is refused"),
        ("seed", "7", "'7' is refused"),
        ("test_stride", 0, "int (>= 1)"),
        ("threads", 0, "int (>= 1)"),
        ("epochs", 2.5, "int (>= 1)"),
        ("max_time", 0, "(> 0)"),
        ("max_time", math.nan, "nan is refused"),
        ("threshold", "high", "a number"),
        ("refit", "yes", "true or false"),
        ("budget", "papr", "mean 'paper'? budget is paper, equal-steps or equal-epochs"),
        ("device", "gpu", "auto, cpu or cuda"),
        ("image_size", "320", "WIDTHxHEIGHT"),
        ("image_size", None, "WIDTHxHEIGHT"),
        ("mask_size", "4x4", "8 to 16384"),
        ("memory_budget", "lots", "lots"),
        ("memory_budget", 0, "8GB"),
        ("memory_budget", 8, "8GB"),
        ("split", "foo", "no split 'foo'"),
        ("sampler", ["20"], "is not a spec"),
        ("sampler", "successive:n=0", "n=0 is refused"),
        ("dataset", "mot", "needs path"),
    ],
)
def test_nonsense_is_refused_with_the_options_name(option, value, part):
    with pytest.raises(UsageError) as caught:
        make_config(CPU | {option: value})
    text = str(caught.value)
    assert part in text
    assert text.startswith(option)
    assert "\n" not in text


def test_values_may_be_pythons_own():
    text = {"image_size": "64x48", "sampler": "20:short=all", "seed": 3, "memory_budget": "1GB"}
    python = {
        "image_size": Size(48, 64),
        "sampler": Spec("20", None, {"short": "all"}),
        "seed": np.int64(3),
        "memory_budget": 10**9,
    }
    assert make_config(CPU | python) == make_config(CPU | text)
    assert type(make_config(CPU | python).seed) is int


def test_words_stand_for_values():
    config = make_config(CPU | {"prior": "none", "mask_size": "same", "image_size": "native"})
    assert (config.labelling.prior, config.mask_size, config.image_size) == (None, None, None)
    assert make_config(CPU | {"threshold": "inner"}).threshold == "inner"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("samplr", "did you mean 'sampler'?"), ("zzz", "it takes dataset, sampler")],
)
def test_an_option_that_is_none_is_refused(name, hint):
    with pytest.raises(UsageError, match=f"^there is no option '{name}'; {re.escape(hint)}"):
        make_config({name: 1})


def test_files_with_unknown_keys_name_the_nearest(tmp_path):
    file = tmp_path / "c.yaml"
    for content, part in (
        ("samplr: 20", "did you mean 'sampler'?"),
        ("image-size: 64x48", "did you mean 'image_size'?"),
        ("1: 2", "there is no option 1"),
        ("", "does not hold a mapping"),
        ("- sampler", "does not hold a mapping"),
    ):
        file.write_text(content)
        with pytest.raises(UsageError, match="--config") as caught:
            read_config(file)
        assert part in str(caught.value)
