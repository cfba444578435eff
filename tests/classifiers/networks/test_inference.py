"""Scores at full size: padding, tiles, batches; a model that is saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.trunks import SIZE, LadderHandle, context, training
from vidseg.classifiers.networks import inference
from vidseg.classifiers.networks.base import NetworkClassifier
from vidseg.classifiers.networks.deep_unet import DeepUNet
from vidseg.classifiers.networks.fcn import Fcn
from vidseg.classifiers.networks.inference import FittedNetwork
from vidseg.classifiers.networks.unet import UNet
from vidseg.classifiers.networks.vgg import Vgg
from vidseg.errors import DataError
from vidseg.types import Network, Size

ALL: list[type[NetworkClassifier]] = [Vgg, Fcn, UNet, DeepUNet]


def network(kind: type[NetworkClassifier], *, padded: bool = True) -> FittedNetwork:
    """Return a network with random weights everywhere."""
    plugin = kind()
    net = plugin.module(LadderHandle(), weights=True)
    torch.manual_seed(1)
    for parameter in net.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    return plugin.fitted(net, (), padded=padded)


def images(count: int, height: int, width: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", ALL)
def test_scores_of_a_batch_are_those_of_each_image(kind: type[NetworkClassifier]) -> None:
    fitted = network(kind)
    assert isinstance(fitted, Network)
    given = images(3, 30, 45)
    together = fitted.batch_scores(given, Size(20, 33), "cpu")
    assert together.shape == (3, 20, 33)
    assert together.dtype == np.float32
    for image, scores in zip(given, together, strict=True):
        np.testing.assert_array_equal(fitted.batch_scores([image], Size(20, 33), "cpu")[0], scores)


def test_an_image_is_padded_to_the_stride() -> None:
    fitted = network(DeepUNet)
    assert fitted.net.stride == 8
    image = images(1, 30, 45)[0]
    padded = np.pad(image, ((0, 2), (0, 3), (0, 0)), mode="edge")
    whole = fitted.batch_scores([padded], Size(32, 48), "cpu")[0]
    scores = fitted.batch_scores([image], Size(30, 45), "cpu")[0]
    np.testing.assert_allclose(scores, whole[:30, :45], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ALL)
def test_tiles_score_as_the_whole_image_does(
    kind: type[NetworkClassifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, image = network(kind), images(1, 150, 187)[0]
    whole = fitted.batch_scores([image], Size(150, 187), "cpu")
    monkeypatch.setattr(inference, "CPU_BYTES", 300_000)
    monkeypatch.setattr(inference, "MARGIN", 40)
    seen: list[Size] = []

    def note(module: Any, given: Any, found: torch.Tensor) -> None:
        if found.device.type == "cpu":  # sizes are asked on another
            seen.append(Size(*found.shape[-2:]))

    fitted.net.register_forward_hook(note)
    tiles = fitted.batch_scores([image], Size(150, 187), "cpu")
    assert len(seen) > 3
    assert max(max(size) for size in seen) < 150
    np.testing.assert_allclose(tiles, whole, rtol=1e-4, atol=1e-4)


def test_spans_cover_an_axis_once() -> None:
    for length, tile, margin in ((200, 96, 32), (96, 96, 32), (97, 96, 32), (1000, 104, 24)):
        spans = list(inference._spans(length, tile, margin))
        kept = [place for _, inner in spans for place in range(inner.start, inner.stop)]
        assert kept == list(range(length))
        for read, inner in spans:
            assert read.stop - read.start <= tile
            assert read.start == 0 or inner.start - read.start >= margin
            assert read.stop == length or read.stop - inner.stop >= margin


@pytest.mark.parametrize("kind", ALL)
def test_a_network_is_loaded_without_other_weights(
    kind: type[NetworkClassifier], tmp_path: Path
) -> None:
    train = training()
    fitted = kind(epochs=2).fit(train, train.handle, context(tmp_path))
    state = fitted.export()
    assert all(array.dtype.kind in "biuf" for array in state.values())
    again = kind().load(state, LadderHandle(seed=5))
    given = [train.frame(ref) for ref in train.refs]
    np.testing.assert_array_equal(
        again.batch_scores(given, SIZE, "cpu"), fitted.batch_scores(given, SIZE, "cpu")
    )
    assert again.export().keys() == state.keys()


def test_a_state_of_another_network_is_refused() -> None:
    state = network(UNet).export()
    with pytest.raises(DataError, match=r"vgg: the weights are of another network: .*decoder"):
        Vgg().load(state, LadderHandle())
    with pytest.raises(DataError, match=r"the weights are of another network: .*size mismatch"):
        UNet(widths=3).load(state, LadderHandle())
    with pytest.raises(DataError, match="unet: the model is no network"):
        UNet().load({"weight.0": np.zeros(3, np.float32)}, LadderHandle())
