"""Networks that start from a linear model, or from a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.training import TinyTraining
from tests.helpers.trunks import LadderHandle, Logged, context, training
from vidseg.classifiers.linear.pixel_svm import PixelSvm
from vidseg.classifiers.networks.base import NetworkClassifier
from vidseg.classifiers.networks.deep_unet import DeepUNet
from vidseg.classifiers.networks.fcn import Fcn
from vidseg.classifiers.networks.start import fitted_factor, log_odds
from vidseg.classifiers.networks.unet import UNet
from vidseg.classifiers.networks.validation import held_out
from vidseg.classifiers.networks.vgg import Vgg
from vidseg.errors import DataError
from vidseg.types import Size

ALL: list[type[NetworkClassifier]] = [Vgg, Fcn, UNet, DeepUNet]
STILL: dict[str, Any] = {"epochs": 1, "lr": 1e-30, "momentum": 0, "weight_decay": 0}
ODD = Size(23, 31)
"""No multiple of a stride."""


def iou(scores: Any, masks: Any) -> float:
    found = scores > 0
    return float((found & (masks > 0)).sum() / ((found & (masks != 0)) | (masks > 0)).sum())


@pytest.mark.parametrize("size", [Size(24, 32), ODD])
@pytest.mark.parametrize("kind", ALL)
def test_it_starts_at_the_linear_model(
    kind: type[NetworkClassifier], size: Size, tmp_path: Path
) -> None:
    """Before the first step: the same decision at every pixel, but for rounding."""
    train = training(image_size=size, mask_size=size, ignored=0.2)
    head = PixelSvm().fit(train, train.handle, context(tmp_path / "svm"))
    fitted = kind(init="svm", **STILL).fit(train, train.handle, context(tmp_path))
    masks = np.stack([train.mask(ref) for ref in train.refs])
    linear = np.stack([head.scores(train.features(ref), size) for ref in train.refs])
    scores = fitted.batch_scores([train.frame(ref) for ref in train.refs], size, "cpu")
    factor = float((scores * linear).sum() / (linear * linear).sum())
    np.testing.assert_allclose(scores, factor * linear, atol=5e-3 * factor)
    assert iou(scores, masks) == pytest.approx(iou(linear, masks), abs=1e-3)


def test_the_factor_fits_the_cross_entropy() -> None:
    rng = torch.Generator().manual_seed(0)
    scores = torch.randn(40, 50, generator=rng)
    chance = torch.sigmoid(6.3 * scores)
    mask = torch.where(torch.rand(40, 50, generator=rng) < chance, 1, -1).to(torch.int8).numpy()
    assert fitted_factor([(scores, mask)], 1.0) == pytest.approx(6.3, rel=0.15)
    assert fitted_factor([(scores / 100, mask)], 1.0) == 100


def test_log_odds() -> None:
    assert log_odds(0.5, 1.0) == 0
    assert log_odds(0.2, 4.0) == pytest.approx(0)
    assert log_odds(0.1, 1.0) == pytest.approx(np.log(1 / 9))
    assert log_odds(0.0, 1.0) == -6


def test_a_network_starts_at_the_share_of_foreground(tmp_path: Path) -> None:
    log, train = Logged(), training(ignored=0.0)
    fitted = Vgg(**STILL).fit(train, train.handle, context(tmp_path, log=log))
    share = np.mean([train.mask(ref) > 0 for ref in train.refs])
    scores = fitted.batch_scores([train.frame(train.refs[0])], train.mask_size, "cpu")
    np.testing.assert_allclose(scores, np.log(share / (1 - share)), rtol=1e-5)
    entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    assert log.of("loss") == [pytest.approx(entropy, rel=1e-4)]


def test_what_the_svm_did_stands_beside_it(tmp_path: Path) -> None:
    log, ctx, train = Logged(), context(tmp_path), training()
    ctx.log = log
    Vgg(init=PixelSvm(C=0.1), **STILL).fit(train, train.handle, ctx)
    assert ctx.facts["init_C"] == 0.1
    assert ctx.facts["init_factor"] > 0
    assert log.of("init/objective")


def test_it_starts_from_what_a_suite_names(tmp_path: Path) -> None:
    train = training()
    head = PixelSvm().fit(train, train.handle, context(tmp_path / "svm"))
    given = UNet(**STILL).fit(train, train.handle, context(tmp_path / "a", init=head))
    own = UNet(init="svm", **STILL).fit(train, train.handle, context(tmp_path / "b"))
    for name, array in given.export().items():
        np.testing.assert_array_equal(array, own.export()[name])


def test_a_network_goes_on_from_a_network(tmp_path: Path) -> None:
    train = training()
    first = UNet(epochs=3, init="svm").fit(train, train.handle, context(tmp_path / "a"))
    ctx = context(tmp_path / "b", init=first)
    second = UNet(**STILL).fit(train, train.handle, ctx)
    assert second.facts == first.facts
    for name, array in first.export().items():
        np.testing.assert_allclose(array, second.export()[name], rtol=1e-6, atol=1e-12)
    with pytest.raises(DataError, match=r"vgg, init_from: the weights are of another network"):
        Vgg(**STILL).fit(train, train.handle, context(tmp_path / "c", init=first))


def test_what_it_cannot_start_from(tmp_path: Path) -> None:
    train = training()
    head = PixelSvm().fit(train, train.handle, context(tmp_path))
    other = LadderHandle(seed=3)
    with pytest.raises(DataError, match="neither linear on this extractor nor a network"):
        Vgg(**STILL).fit(TinyTraining(other), other, context(tmp_path, init=head))
    fewer = training(levels=(0, 1))
    with pytest.raises(DataError, match=r"has levels \(0, 1, 2\), not \(0, 1\)"):
        Vgg(levels=[0, 1], **STILL).fit(fewer, train.handle, context(tmp_path, init=head))


def test_levels_that_were_chosen_are_those_of_the_start(tmp_path: Path) -> None:
    train = training(levels=(0, 2))
    fitted = UNet(levels=[0, 2], init="svm", **STILL).fit(train, train.handle, context(tmp_path))
    assert fitted.net.linear is not None
    assert fitted.net.linear.levels == (0, 2)
    assert fitted.net.decoder is not None
    assert fitted.net.decoder.levels == (0, 2)


@pytest.mark.parametrize(
    ("options", "rate"), [({}, 0.1), ({"init": "svm"}, 0.01), ({"init": "svm", "lr": 0.2}, 0.2)]
)
def test_a_start_is_left_slowly(options: dict[str, Any], rate: float, tmp_path: Path) -> None:
    train, ctx = training(), context(tmp_path)
    Vgg(epochs=1, **options).fit(train, train.handle, ctx)
    assert ctx.facts["lr"] == pytest.approx(rate)


def test_the_start_may_be_the_best(tmp_path: Path) -> None:
    """Steps that ruin it leave the linear model, where the best is kept."""
    train, log, ctx = training(), Logged(), context(tmp_path)
    ctx.log = log
    ruined = {"epochs": 3, "lr": 100.0, "clip": 10, "backbone_lr": 10, "weight_decay": 0.5}
    fitted = Vgg(init="svm", keep="best", **ruined).fit(train, train.handle, ctx)
    curve = log.of("validation_iou")
    assert curve[0] == max(curve) > max(curve[1:])
    assert ctx.facts["best_epoch"] == 0
    assert ctx.facts["best_validation_iou"] == curve[0]
    before = train.handle.build().state_dict()
    after = fitted.net.trunk.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("kind", [Vgg, UNet])
def test_it_ends_no_worse_on_held_out_frames(kind: type[NetworkClassifier], tmp_path: Path) -> None:
    """Where training spoils the start, the start is kept; its curve begins at the SVM's IoU."""
    log, ctx, train = Logged(), context(tmp_path), training(ignored=0.2)
    ctx.log = log
    network = kind(init="svm", validate=True, lr=30.0, clip=0, epochs=3)
    fitted = network.fit(train, train.handle, ctx)
    curve = log.of("validation_iou")
    learnt, left = held_out(train, ctx.seed, "test")
    masks = np.stack([left.mask(ref) for ref in left.refs])
    scores = fitted.batch_scores([left.frame(ref) for ref in left.refs], left.mask_size, "cpu")
    head = PixelSvm().fit(learnt, train.handle, context(tmp_path / "svm"))
    linear = np.stack([head.scores(left.features(ref), left.mask_size) for ref in left.refs])
    pixel = 1 / np.count_nonzero(masks)
    assert curve[0] == pytest.approx(iou(linear, masks), abs=max(1e-3, 4 * pixel))
    assert curve[-1] < curve[0], "else this shows nothing"
    assert iou(scores, masks) == pytest.approx(max(curve), abs=1e-3)
    assert ctx.facts["best_validation_iou"] == max(curve)
