"""The networks of the library through vidseg's loader, training loop and scoring."""

from __future__ import annotations

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file
from torch import nn

from tests.helpers.trunks import LadderHandle, context, stopping, training
from vidseg import plugins
from vidseg.classifiers.base import Budget
from vidseg.classifiers.load import load_model
from vidseg.errors import DataError, Stopped, UsageError, VidsegError
from vidseg.extractors.normalisation import IMAGENET_MEAN, IMAGENET_STD
from vidseg.types import Network, Size

TINY = "tu-test_resnet"
SIZE = Size(32, 32)
ARCHITECTURES = ("unet", "unetplusplus", "manet", "linknet", "fpn", "pspnet", "segformer")
EQUAL = Budget("equal-epochs")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(**more):
    given = {"encoder": TINY, "weights": "none", "epochs": 2, "batch": 2, **more}
    values = ",".join(f"{name}={value}" for name, value in given.items())
    return plugins.create("classifier", f"smp:{values}")


def frames():
    return training(image_size=SIZE, mask_size=SIZE)


def fitted(folder, network=None, **changes):
    ctx = context(folder, budget=EQUAL, **changes)
    return (network or tiny()).fit(frames(), LadderHandle(), ctx), ctx


def equal(one, other):
    a, b = one.export(), other.export()
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_it_is_listed_and_described():
    plugin = plugins.find("classifier", "smp")
    assert plugin.package == "vidseg-smp"
    assert plugins.summary(plugin)
    parameters = {one.name: one for one in plugins.describe(plugin)[1]}
    assert all(one.doc for one in parameters.values())
    assert all(arch in parameters["arch"].type for arch in ARCHITECTURES)
    assert parameters["arch"].type.count("|") == len(ARCHITECTURES) - 1


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_computes_what_the_library_does(arch):
    """Our network's weights in one of the library give its scores; a crop alone can be learnt."""
    encoder = "resnet18" if arch in ("manet", "linknet") else TINY
    net = tiny(arch=arch, encoder=encoder).module(LadderHandle(), weights=False)
    oracle = smp.create_model(arch, encoder, encoder_weights=None).eval()
    state = net.state_dict()
    oracle.load_state_dict({name: state[_ours(name)] for name in oracle.state_dict()})
    size = Size(64, 64)
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        expected = oracle((pixels - mean) / std)[:, 0]
        torch.testing.assert_close(net(pixels, size), expected, atol=1e-5, rtol=1e-4)
        assert expected.std() > 0
        assert net.train()(pixels, size).isfinite().all()


def _ours(name):
    """Return our name of one of the library's tensors."""
    first, _, rest = name.partition(".")
    places = {"encoder": "trunk.module.net", "decoder": "decoder.decoder"}
    return f"{places.get(first, 'decoder.head')}.{rest}"


def test_it_learns_and_is_loaded_from_its_arrays_alone(tmp_path):
    network = tiny(epochs=8, lr=0.05)
    model, ctx = fitted(tmp_path, network)
    loss = ctx.log.of("loss")
    assert loss[-1] < 0.8 * loss[0]
    assert isinstance(model, Network)
    image = frames().frame(frames().refs[1])
    scores = model.batch_scores([image, image], Size(30, 40), "cpu")
    # the spec may name a file that is not there any more
    blank = tiny()
    blank.weights = "/gone.safetensors"
    again = load_model(blank, model.export(), LadderHandle(), where="test")
    np.testing.assert_array_equal(again.batch_scores([image, image], Size(30, 40), "cpu"), scores)
    with pytest.raises(DataError, match="of another network"):
        load_model(tiny(arch="fpn"), model.export(), LadderHandle(), where="test")


def test_checkpoints_are_kept_as_those_of_other_networks():
    assert tiny(checkpoints=2).options.checkpoints == 2
    assert tiny().options.checkpoints == 0


def test_a_stopped_fit_goes_on_and_ends_with_the_same_weights(tmp_path):
    whole, _ = fitted(tmp_path / "whole")
    with pytest.raises(Stopped):
        fitted(tmp_path / "parts", stop=stopping(3, Stopped("now")))
    parts, ctx = fitted(tmp_path / "parts")
    assert equal(whole, parts)
    assert any("goes on after step" in line for line in ctx.progress.said)
    other, _ = fitted(tmp_path / "other", seed=1)
    assert not equal(whole, other)


@pytest.mark.parametrize("statistics", ["frozen", "train"])
def test_statistics_of_the_encoder(statistics, tmp_path):
    model, _ = fitted(tmp_path, tiny(statistics=statistics))
    norms = [m for m in model.net.trunk.modules() if isinstance(m, nn.BatchNorm2d)]
    kept = all(
        bool((m.running_mean == 0).all()) and bool((m.running_var == 1).all()) for m in norms
    )
    assert norms
    assert kept == (statistics == "frozen")
    new = [m for m in model.net.decoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert any(bool((m.running_mean != 0).any()) for m in new)


def test_a_frozen_encoder_stays(tmp_path):
    network = tiny(freeze="backbone")
    model, ctx = fitted(tmp_path, network)
    before = network.module(LadderHandle(), weights=True, seed=0).trunk.state_dict()
    after = model.net.trunk.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert ctx.facts["trained_parameters"] < ctx.facts["parameters"]


def test_weights_of_a_file_are_compared_layer_by_layer(tmp_path):
    encoder = smp.encoders.get_encoder(TINY, weights=None)
    given = encoder.state_dict().items()
    state = {name: value + 0.001 if value.is_floating_point() else value for name, value in given}
    file = tmp_path / "encoder.safetensors"
    save_file(state, file)
    model, _ = fitted(tmp_path, tiny(weights=file, freeze="backbone", epochs=1))
    found = model.net.trunk.module.net.state_dict()
    assert all(torch.equal(found[name], value) for name, value in state.items())
    state.pop(next(iter(state)))
    save_file(state, file)
    with pytest.raises(DataError, match="another architecture: layers 1 missing"):
        fitted(tmp_path / "again", tiny(weights=file))


def test_without_the_hub_it_is_one_line_and_soon(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *a, **k: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *a, **k: pytest.fail("asked"))
    with pytest.raises(DataError, match="cannot be fetched: the server does not answer") as error:
        fitted(tmp_path, tiny(encoder="resnet18", weights="imagenet"))
    assert "smp-hub/resnet18" in str(error.value)
    assert "weights=FILE" in str(error.value)
    assert "\n" not in str(error.value)


def test_crops_that_leave_one_value_to_normalise_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"one value per channel.*larger crop") as error:
        fitted(tmp_path, tiny(encoder="resnet18", arch="linknet", batch=1))
    assert "smp" in str(error.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"encoder": "resnet81"}, "no encoder 'resnet81'.*resnet18"),
        ({"arch": "vnet"}, "arch=vnet is refused"),
        ({"weights": "/nowhere.safetensors"}, "nowhere"),
        ({"encoder": TINY, "weights": "imagenet"}, "the library has none for it"),
    ],
)
def test_what_is_refused(change, text, tmp_path):
    with pytest.raises(VidsegError, match=text):
        fitted(tmp_path, tiny(**change))
