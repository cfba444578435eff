"""Mean, standard deviation and padding: what is used, from where, and what it changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from vidseg import plugins
from vidseg.errors import DataError, UsageError
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.extractors.normalisation import json_files
from vidseg.extractors.timm import Timm
from vidseg.extractors.torchvision import Torchvision
from vidseg.plugins.spec import Spec, parse
from vidseg.types import Size

HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
MODEL = "test_efficientnet"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model(MODEL).state_dict(), path)
    return path


def levels(handle: Timm, image: torch.Tensor) -> list[torch.Tensor]:
    with torch.inference_mode():
        found: list[torch.Tensor] = handle.build()(image)
    return found


def independent(file: Path, image: torch.Tensor, mean: float, std: float, **options: Any) -> Any:
    net = timm.create_model(MODEL, features_only=True, **options).eval()
    state = load_file(file)
    net.load_state_dict({name: state[name] for name in net.state_dict()})
    with torch.inference_mode():
        return net((image - mean) / std)


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(1, 3, 45, 62, generator=torch.Generator().manual_seed(1))


def test_the_defaults_leave_the_names_of_features_as_they_were() -> None:
    assert Timm(weights="random").fingerprint == "be1916aa89ad8ab6ce686235e51e46e9"
    expected = "a237e56cb76f4b1cbcba070fae41b6e0"
    assert Timm(MODEL, weights="random").fingerprint == expected
    assert Torchvision(weights="random").fingerprint == "79e2481c33c21f95f0443bd0003cabaa"
    given = Timm(MODEL, weights="random", **_tuples(IMAGENET), padding="symmetric")
    assert given.fingerprint == expected
    same = Timm("tf_efficientnet_lite0", weights="random", padding="same")
    assert same.fingerprint == "ec2855d5d077d5423954e68e7ee68272"


def _tuples(values: dict[str, list[float]]) -> Any:
    return {name: tuple(colours) for name, colours in values.items()}


def test_what_changes_features_changes_their_name() -> None:
    handles = [
        Timm(MODEL, weights="random"),
        Timm(MODEL, weights="random", mean=0.5),
        Timm(MODEL, weights="random", std=0.5),
        Timm(MODEL, weights="random", mean=0.5, std=(0.5, 0.5, 0.4)),
        Timm(MODEL, weights="random", padding="same"),
        Torchvision(weights="random"),
        Torchvision(weights="random", mean=0.5),
    ]
    assert len({handle.fingerprint for handle in handles}) == len(handles)


def test_the_options_are_what_the_network_sees(file: Path, image: torch.Tensor) -> None:
    given = Timm(MODEL, weights=str(file), mean=0.5, std=0.25)
    for found, truth in zip(levels(given, image), independent(file, image, 0.5, 0.25), strict=True):
        torch.testing.assert_close(found, truth)
    other = levels(Timm(MODEL, weights=str(file)), image)
    assert not torch.allclose(other[0], levels(given, image)[0], rtol=0.1)


def test_padding_is_what_timm_makes_of_it(file: Path, image: torch.Tensor) -> None:
    given = Timm(MODEL, weights=str(file), mean=0.5, std=0.5, padding="same")
    truth = independent(file, image, 0.5, 0.5, pad_type="same")
    for found, own in zip(levels(given, image), truth, strict=True):
        torch.testing.assert_close(found, own)
    assert given.sizes(Size(45, 62)) == tuple(Size(*level.shape[2:]) for level in truth)
    kept = given.with_levels((0, 1))
    assert (kept.padding, kept.used()) == ("same", given.used())


@pytest.mark.parametrize("model", ["resnet18", "vgg16"])
def test_a_model_without_the_choice_refuses_another_padding(model: str) -> None:
    assert Timm(model, weights="random", padding="symmetric").padding is None
    with pytest.raises(UsageError, match=f"padding: {model} has one padding only"):
        Timm(model, weights="random", padding="same")


@pytest.mark.parametrize(
    ("content", "used"),
    [
        (HALF, HALF),
        ({"architecture": "x", "pretrained_cfg": HALF}, HALF),
        ({"image_mean": [0.5, 0.5, 0.5], "image_std": 0.5, "rescale_factor": 1 / 255}, HALF),
        ({"mean": 0.5}, {**IMAGENET, "mean": HALF["mean"]}),
        ({"image_mean": [0.1] * 3, "do_normalize": False}, {"mean": [0] * 3, "std": [1] * 3}),
        ({"epochs": 3}, IMAGENET),
    ],
)
def test_a_file_beside_the_weights_is_read(
    file: Path, content: dict[str, Any], used: dict[str, list[float]]
) -> None:
    file.with_suffix(".json").write_text(json.dumps(content))
    handle = Timm(MODEL, weights=str(file))
    assert handle.used() == used
    assert handle.fingerprint == Timm(MODEL, weights=str(file), **_tuples(used)).fingerprint
    built: Any = handle.build()
    np.testing.assert_allclose(built.std.flatten(), used["std"], rtol=1e-6)
    assert torch.equal(built.mean, handle.blank().mean)


def test_options_come_before_the_file_and_the_file_before_the_library(file: Path) -> None:
    plain = Timm(MODEL, weights=str(file))
    library = f"timm's for {MODEL}"
    assert plain.notes() == [
        f"net.safetensors: colours have mean 0.485, 0.456, 0.406 ({library}), "
        f"std 0.229, 0.224, 0.225 ({library})"
    ]
    file.with_suffix(".json").write_text(json.dumps(HALF))
    (note,) = Timm(MODEL, weights=str(file), std=0.25).notes()
    assert note.endswith("mean 0.5, 0.5, 0.5 (net.json), std 0.25, 0.25, 0.25 (as given)")
    assert Timm(MODEL, weights="random").notes() == []
    (note,) = Timm(MODEL, weights="random", mean=0.5).notes()
    assert "mean 0.5, 0.5, 0.5 (as given)" in note
    file.with_suffix(".json").write_text("{")
    assert Timm(MODEL, weights=str(file), mean=0.5, std=0.25).used()["std"] == [0.25] * 3


@pytest.mark.parametrize(
    ("weights", "names"),
    [
        ("net.pth.tar", ["net.json"]),
        ("net.v2.pth", ["net.v2.json"]),
        ("model.safetensors", ["model.json", "config.json", "preprocessor_config.json"]),
    ],
)
def test_which_files_belong_to_the_weights(weights: str, names: list[str]) -> None:
    assert [path.name for path in json_files(Path("folder") / weights)] == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[0.5]", "holds no JSON object"),
        ("\xff", "is not JSON"),
        ('{"std": [0.5, 0, 0.5]}', "std holds 0; it must be above 0"),
        ('{"mean": [0.5, 0.5]}', "mean has 2 numbers, not one or three"),
        ('{"mean": [123.7, 116.3, 103.5]}', "mean holds 123.7; it must be from 0 to 1.*by 255"),
        ('{"mean": ["a", 0, 0]}', "mean holds 'a', which is no number"),
        ('{"std": [0.5, NaN, 0.5]}', "std holds nan"),
        ('{"mean": 0.5, "rescale_factor": 0.0078}', "rescale_factor 0.0078 is not 1/255"),
    ],
)
def test_a_file_that_cannot_be_meant_is_named(file: Path, text: str, message: str) -> None:
    beside = file.with_suffix(".json")
    beside.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=rf"net\.json: {message}"):
        _ = Timm(MODEL, weights=str(file)).fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("std=0", "extractor, std=: std holds 0"),
        ("mean=[0.5,0.5]", "mean has 2 numbers"),
        ("mean=[0.1,0.2,0.3,0.4]", "mean has 4 numbers"),
        ("std=58.4", "std holds 58.4.*divided by 255"),
        ("mean=-0.1", "mean holds -0.1"),
    ],
)
@pytest.mark.parametrize("name", ["timm:model=test_resnet", "torchvision:model=squeezenet1_1"])
def test_options_that_cannot_be_meant(name: str, options: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plugins.create("extractor", f"{name},weights=random,{options}")


def test_features_in_the_store_have_another_name_with_another_file(file: Path) -> None:
    before = FrozenExtractor(Timm(MODEL, weights=str(file)), threads=1).key
    file.with_suffix(".json").write_text(json.dumps(IMAGENET))
    assert FrozenExtractor(Timm(MODEL, weights=str(file)), threads=1).key == before
    file.with_suffix(".json").write_text(json.dumps(HALF))
    assert FrozenExtractor(Timm(MODEL, weights=str(file)), threads=1).key != before


def test_a_spec_with_what_was_used_is_the_same_extractor_without_the_file(file: Path) -> None:
    file.with_suffix(".json").write_text(json.dumps({"mean": 0.1, "std": [1 / 3, 0.2, 0.3]}))
    read = Timm(MODEL, weights=str(file))
    used = read.used()
    file.with_suffix(".json").unlink()
    spec = plugins.bind("extractor", f"timm:model={MODEL},weights={file}")
    pinned = parse(str(Spec(spec.name, None, {**spec.params, **used})))
    handle = plugins.create("extractor", pinned)
    assert handle.fingerprint == read.fingerprint
    assert isinstance(handle.build(), nn.Module)
