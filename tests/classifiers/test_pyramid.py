"""Resize, adjoint, moments and the linear head, against torch's own interpolate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.helpers.pyramids import PAIRS, random_features, random_head
from vidseg.classifiers.hypercolumns import hypercolumns
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.levels import is_finite
from vidseg.classifiers.pyramid import Pyramid, Resize, as_tensor, shared
from vidseg.types import Features, Size

sizes = st.builds(Size, st.integers(1, 40), st.integers(1, 40))
seeds = st.integers(0, 2**31)


def reference(maps: np.ndarray, target: Size) -> np.ndarray:
    """Torch's bilinear resize, antialiased where an axis shrinks."""
    if target.width == 1 < target.height:
        # torch 2.14 repeats the first row when the target is 1 wide and antialias is on
        flipped = np.ascontiguousarray(np.swapaxes(maps, -1, -2))
        return np.swapaxes(reference(flipped, Size(1, target.height)), -1, -2)
    shrinks = target.height < maps.shape[-2] or target.width < maps.shape[-1]
    lead = maps.shape[:-2]
    resized = F.interpolate(
        torch.from_numpy(maps).reshape(1, -1, *maps.shape[-2:]),
        size=tuple(target),
        mode="bilinear",
        align_corners=False,
        antialias=shrinks,
    )
    return resized.numpy().reshape(*lead, *target)


@pytest.mark.parametrize("writable", [True, False])
def test_float16_converts_as_numpy_does_without_a_copy_or_a_warning(writable: bool) -> None:
    every = np.arange(2**16, dtype=np.uint16)
    half = every.view(np.float16)
    half.setflags(write=writable)
    assert shared(half).data_ptr() == half.ctypes.data
    expected, found = half.astype(np.float32), as_tensor(half).numpy()
    number = ~np.isnan(half)
    assert number.sum() == 2**16 - 2 * 1023
    assert np.array_equal(found[number].view(np.uint32), expected[number].view(np.uint32))
    assert np.isnan(found[~number]).all()
    single = [float(as_tensor(half[i : i + 1])[0]) for i in range(0, 2**16, 97)]
    assert np.array_equal(single, expected[::97], equal_nan=True)


def test_finite_by_exponent_bits() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    assert [is_finite(value) for value in every[:, None]] == np.isfinite(every).tolist()
    assert is_finite(np.array([1e30, 65505.0], np.float32))
    assert not is_finite(np.array([1.0, np.nan], np.float32))


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_resize_equals_interpolate(source: Size, target: Size) -> None:
    maps = np.random.default_rng(0).standard_normal((2, 3, *source))
    resize, expected = Resize(source, target), reference(maps, target)
    np.testing.assert_allclose(resize.forward(maps), expected, atol=1e-12)
    single = resize.forward(maps.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=2e-6)
    np.testing.assert_allclose(resize.forward(torch.from_numpy(maps)).numpy(), expected, atol=1e-12)


@given(sizes, sizes, seeds)
@settings(max_examples=60, deadline=None)
def test_any_sizes_equal_interpolate_and_adjoint(source: Size, target: Size, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, g = rng.standard_normal((2, *source)), rng.standard_normal((2, *target))
    resize = Resize(source, target)
    np.testing.assert_allclose(resize.forward(x), reference(x, target), atol=1e-11)
    np.testing.assert_allclose((resize.forward(x) * g).sum(), (x * resize.adjoint(g)).sum())
    np.testing.assert_allclose(resize.weight_sums(), resize.adjoint(np.ones(target)), atol=1e-10)
    np.testing.assert_allclose(resize.gram(x), resize.adjoint(resize.forward(x)), atol=1e-10)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_adjoint_in_float32(source: Size, target: Size) -> None:
    rng = np.random.default_rng(1)
    # positive maps: the dot product must not be small by cancellation
    x, g = (rng.random((4, *size), np.float32) for size in (source, target))
    resize = Resize(source, target)
    forward = (resize.forward(x).astype(np.float64) * g).sum()
    assert forward == pytest.approx((resize.adjoint(g).astype(np.float64) * x).sum(), rel=1e-6)
    tensor = resize.adjoint(torch.from_numpy(g))
    np.testing.assert_allclose(tensor.numpy(), resize.adjoint(g), rtol=1e-6)


def test_pyramid_adjoint_and_sum() -> None:
    rng = np.random.default_rng(2)
    pyramid = Pyramid((Size(24, 32), Size(11, 15), Size(5, 8)), Size(18, 26))
    maps = [rng.standard_normal((3, *size)) for size in pyramid.levels]
    gradient = rng.standard_normal((3, *pyramid.target))
    total = sum(reference(m, pyramid.target) for m in maps)
    np.testing.assert_allclose(pyramid.forward(maps), total, atol=1e-12)
    back = sum((m * a).sum() for m, a in zip(maps, pyramid.adjoint(gradient), strict=True))
    assert (pyramid.forward(maps) * gradient).sum() == pytest.approx(back, rel=1e-10)


def test_matrices_first_used_for_inference_serve_training_as_well() -> None:
    """They are kept: made in inference mode they could not be saved for a gradient."""
    resize = Resize(Size(19, 23), Size(41, 37))  # sizes that no other test has
    with torch.inference_mode():
        resize.forward(torch.ones(19, 23))
        resize.gram(torch.ones(19, 23))
    maps = torch.ones(19, 23, requires_grad=True)
    (resize.forward(maps).sum() + resize.gram(maps).sum()).backward()
    assert maps.grad is not None
    expected = resize.weight_sums()
    ones = torch.ones(19, 23)
    torch.testing.assert_close(
        maps.grad.double(),
        torch.from_numpy(expected) + resize.gram(ones).double(),
        rtol=1e-4,
        atol=1e-4,
    )


def test_wrong_sizes_are_refused() -> None:
    resize = Resize(Size(4, 5), Size(8, 9))
    with pytest.raises(ValueError, match=r"\(5, 4\), not in \(4, 5\)"):
        resize.forward(np.zeros((2, 5, 4)))
    with pytest.raises(ValueError, match=r"not in \(8, 9\)"):
        resize.adjoint(np.zeros((4, 5)))


@given(sizes, sizes, sizes, seeds)
@settings(max_examples=40, deadline=None)
def test_hypercolumns_scores_and_moments(fine: Size, coarse: Size, target: Size, seed: int) -> None:
    features = random_features(seed, [(4, fine), (3, coarse)])
    expected = np.concatenate([reference(f.astype(np.float64), target) for f in features])
    rows = expected.reshape(7, -1).T
    np.testing.assert_allclose(hypercolumns(features, target), rows, atol=2e-5)
    head = random_head(seed, features)
    flat = rows @ np.concatenate(head.weights) + head.bias
    np.testing.assert_allclose(head.scores(features, target).ravel(), flat, atol=1e-4)
    mean, variance = Pyramid.of(features, target).moments(features)
    np.testing.assert_allclose(mean, rows.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(variance, rows.var(axis=0), atol=1e-4)


def test_moments_keep_digits_of_a_large_mean() -> None:
    rng = np.random.default_rng(3)
    level = (1000 + rng.integers(0, 3, (2, 9, 14))).astype(np.float16)
    level[1] = 1000
    target = Size(20, 30)
    resized = reference(level.astype(np.float64), target).reshape(2, -1)
    mean, variance = Resize(Size(9, 14), target).moments(level)
    np.testing.assert_allclose(mean, resized.mean(axis=1), rtol=1e-12)
    assert variance[0] == pytest.approx(resized[0].var(), rel=1e-5)
    assert variance[1] < 1e-9


@pytest.mark.real
def test_real_squeezenet_scores_equal_hypercolumns(samples: Path) -> None:
    picture = samples / "mot/TUD-Campus/img1/000005.jpg"
    features, target = squeezenet(samples, picture, Size(180, 320)), Size(72, 96)
    sigma = np.sqrt(Pyramid.of(features, target).moments(features)[1])
    rng = np.random.default_rng(0)
    weights = (rng.standard_normal(sigma.size) / np.maximum(sigma, 0.05) / sigma.size).astype("f4")
    parts = np.split(weights, np.cumsum([len(level) for level in features])[:-1])
    head = LinearHead(tuple(parts), -0.1, (0, 1, 2, 3), "abc", {})
    # float64: features reach 400, where torch's float32 interpolation is 4e-3 off
    columns = np.concatenate([reference(f.astype(np.float64), target) for f in features])
    direct = np.tensordot(weights.astype(np.float64), columns, 1) - 0.1
    assert direct.std() > 0.01
    np.testing.assert_allclose(head.scores(features, target), direct, atol=1e-4)
    rows = hypercolumns(features, target)
    np.testing.assert_allclose(rows, columns.reshape(960, -1).T, atol=1e-4)


def squeezenet(samples: Path, picture: Path, size: Size) -> Features:
    """Features of a real frame after conv1, fire3, fire5 and fire9."""
    from PIL import Image
    from safetensors.torch import load_file
    from torchvision.models import squeezenet1_1
    from torchvision.models.feature_extraction import create_feature_extractor

    model = squeezenet1_1()
    model.load_state_dict(load_file(samples / "weights/squeezenet1_1_imagenet.safetensors"))
    names = ["features.1", "features.4.cat", "features.7.cat", "features.12.cat"]
    extractor = create_feature_extractor(model.eval(), names)
    image = np.asarray(Image.open(picture).convert("RGB").resize((size.width, size.height)))
    x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        maps = extractor((x - mean[:, None, None]) / std[:, None, None])
    return tuple(maps[name][0].half().numpy() for name in names)
