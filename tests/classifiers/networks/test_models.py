"""The modules: parameters counted by hand, scales, frozen statistics, what is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.trunks import LadderHandle, Notes, context, training
from vidseg.classifiers.networks.base import NetworkClassifier
from vidseg.classifiers.networks.deep_unet import DeepUNet
from vidseg.classifiers.networks.fcn import Fcn
from vidseg.classifiers.networks.unet import UNet
from vidseg.classifiers.networks.vgg import Vgg
from vidseg.classifiers.pyramid import Pyramid
from vidseg.errors import UsageError
from vidseg.extractors.filters import Filters
from vidseg.extractors.timm import Timm
from vidseg.types import Size

ALL: list[type[NetworkClassifier]] = [Vgg, Fcn, UNet, DeepUNet]


def conv(given: int, width: int, side: int = 3) -> int:
    return given * width * side * side + width


VGG16 = sum(
    conv(a, b)
    for a, b in [
        (3, 64), (64, 64),
        (64, 128), (128, 128),
        (128, 256), (256, 256), (256, 256),
        (256, 512), (512, 512), (512, 512),
        (512, 512), (512, 512), (512, 512),
    ]
)  # fmt: skip
DECODER = (
    conv(512 + 512, 512) + conv(512, 512)
    + conv(512 + 256, 256) + conv(256, 256)
    + conv(256 + 128, 128) + conv(128, 128)
    + conv(128 + 64, 64) + conv(64, 64)
    + conv(64, 1, side=1)
)  # fmt: skip
DEEPER = conv(512, 512) + conv(512, 512) + conv(512 + 512, 512) + conv(512, 512)
FCN8 = conv(512, 512) + conv(512, 1, side=1) + 2 * conv(512, 1, side=1)


@pytest.mark.parametrize(
    ("network", "on_top", "reads"),
    [
        (Vgg(), 64 + 128 + 256 + 512 + 512 + 1, (0, 1, 2, 3, 5)),
        (Fcn(), FCN8, (3, 4, 5)),
        (UNet(), DECODER, (0, 1, 2, 3, 4)),
        (DeepUNet(), DECODER + DEEPER, (0, 1, 2, 3, 4)),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_networks_on_vgg16_have_the_parameters_of_their_drawing(
    network: NetworkClassifier, on_top: int, reads: tuple[int, ...]
) -> None:
    assert VGG16 == 14_714_688
    with torch.device("meta"):
        net = network.module(Timm(weights="random"), weights=True)
    assert sum(p.numel() for p in net.parameters()) == VGG16 + on_top
    part = net.linear if net.decoder is None else net.decoder
    assert part is not None
    assert part.levels == reads
    with torch.no_grad():
        scores = net(torch.zeros(2, 3, 64, 96, device="meta"), Size(64, 96))
    assert scores.shape == (2, 64, 96)


def test_the_poolings_of_unets_on_vgg16() -> None:
    for network, poolings in ((UNet(), 4), (DeepUNet(), 5)):
        with torch.device("meta"):
            net = network.module(Timm(weights="random"), weights=True)
        assert net.stride == 2**poolings


@pytest.mark.parametrize("network", ALL)
def test_levels_of_any_size_are_joined(network: type[NetworkClassifier]) -> None:
    net = network().module(LadderHandle(), weights=True)
    for size in (Size(24, 32), Size(23, 37), Size(9, 11)):
        found = net(torch.rand(2, 3, *size), Size(17, 21))
        assert found.shape == (2, 17, 21)
        assert found.isfinite().all()


def test_the_head_of_vgg_is_the_linear_classifier() -> None:
    net = Vgg().module(LadderHandle(), weights=True)
    assert net.linear is not None
    net.scale.copy_(torch.tensor([0.5, 2.0, 1.0]))
    for weight in net.linear.weights:
        torch.nn.init.normal_(weight)
    net.linear.bias.data.fill_(0.3)
    image, target = torch.rand(1, 3, 24, 32), Size(18, 26)
    levels = [level[0].detach().double() for level in net.trunk(image)]
    unit = 10 * (4 + 6 + 8) ** -0.5
    maps = [
        torch.einsum("chw,c->hw", level, weight.detach().double() * scale * unit)
        for level, weight, scale in zip(levels, net.linear.weights, (0.5, 2, 1), strict=True)
    ]
    sizes = tuple(Size(*one.shape) for one in maps)
    wanted = Pyramid(sizes, target).forward(maps) + 0.3
    np.testing.assert_allclose(net(image, target)[0].detach(), wanted, rtol=1e-4, atol=1e-5)


def test_widths_of_the_decoder() -> None:
    def widths(net: Any) -> list[int]:
        return [step[0].out_channels for step in net.decoder.steps]

    handle = LadderHandle((4, 6, 8))
    assert widths(UNet().module(handle, weights=True)) == [6, 4]
    assert widths(UNet(widths=5).module(handle, weights=True)) == [5, 4]
    assert widths(UNet(widths=[7, 3]).module(handle, weights=True)) == [7, 3]
    assert widths(DeepUNet().module(handle, weights=True)) == [8, 6, 4]
    with pytest.raises(UsageError, match=r"unet on 3 levels has 2 steps, widths=\[7\]"):
        UNet(widths=[7]).module(handle, weights=True)


def test_an_extractor_without_weights_is_refused_with_what_to_choose() -> None:
    with pytest.raises(UsageError, match="filters has nothing to train; choose --extractor timm"):
        UNet().levels(Filters())
    assert Vgg(freeze="backbone").levels(Filters()) == (0, 1, 2, 3)


@pytest.mark.parametrize("network", [Vgg, UNet])
def test_statistics_of_batch_normalisation_stay(
    network: type[NetworkClassifier], tmp_path: Path
) -> None:
    train = training()
    before = {k: v for k, v in train.handle.build().state_dict().items() if "running" in k}
    net = network(epochs=4, lr=0.5).fit(train, train.handle, context(tmp_path)).net
    net.train()
    net(torch.rand(2, 3, 24, 32), Size(24, 32))
    after = net.trunk.module.state_dict()
    assert len(before) == 6
    for name, value in before.items():
        assert torch.equal(value, after[name])
    factors = [after[f"stages.{i}.1.weight"] for i in range(3)]
    assert not all(torch.equal(one, torch.ones_like(one)) for one in factors), "these are trained"


def test_statistics_are_trained_on_request(tmp_path: Path) -> None:
    train = training()
    before = train.handle.build().state_dict()["stages.0.1.running_mean"]
    net = Vgg(epochs=2, statistics="train").fit(train, train.handle, context(tmp_path)).net
    assert not torch.equal(before, net.trunk.module.state_dict()["stages.0.1.running_mean"])
    with pytest.raises(UsageError, match="statistics=train does not go with several processes"):
        Vgg(statistics="train").fit(train, train.handle, context(tmp_path, world=2))


@pytest.mark.parametrize(
    ("freeze", "moving"),
    [("none", (0, 1, 2)), ("first:1", (1, 2)), ("first:2", (2,)), ("backbone", ())],
)
def test_what_is_frozen_does_not_move(freeze: str, moving: tuple[int, ...], tmp_path: Path) -> None:
    train = training()
    before = train.handle.build().state_dict()
    ctx = context(tmp_path)
    net = Vgg(epochs=8, lr=1.0, freeze=freeze).fit(train, train.handle, ctx).net
    after = net.trunk.module.state_dict()
    moved = {
        int(name.split(".")[1]) for name in before if not torch.equal(before[name], after[name])
    }
    assert moved == set(moving)
    stages = [3 * 4 * 9 + 8, 4 * 6 * 9 + 12, 6 * 8 * 9 + 16]
    assert ctx.facts["trained_parameters"] == sum(stages[i] for i in moving) + 4 + 6 + 8 + 1


@pytest.mark.parametrize("freeze", ["first:4", "first:0", "half"])
def test_what_cannot_be_frozen(freeze: str, tmp_path: Path) -> None:
    train = training()
    with pytest.raises(UsageError, match=f"freeze={freeze} is refused; .* k from 1 to 3"):
        Vgg(freeze=freeze).fit(train, train.handle, context(tmp_path))


@pytest.mark.parametrize("loud", [0.01, 1.0, 300.0])
def test_levels_are_scaled_to_one(loud: float, tmp_path: Path) -> None:
    """Scales are measured on the training images, said, and travel with the model."""
    train = training(handle=LadderHandle(loud=loud))
    notes = Notes()
    network = Vgg(epochs=1, lr=1e-9, momentum=0)
    fitted = network.fit(train, train.handle, context(tmp_path, progress=notes))
    images = np.stack([train.frame(ref) for ref in train.refs])
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    levels = train.handle.build()(batch)
    for level, scale in zip(levels, fitted.net.scale.tolist(), strict=True):
        assert (level.detach() * scale).square().mean().item() == pytest.approx(1, rel=1e-3)
    assert "levels divided by" in notes.said[0]
    again = network.load(fitted.export(), train.handle)
    assert torch.equal(again.net.scale, fitted.net.scale)
