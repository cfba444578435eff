"""Resize, adjoint, moments and the linear head, against torch's own interpolate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from torch.nn import functional as F

from vidseg.classifiers.hypercolumns import hypercolumns
from vidseg.classifiers.linear.head import LinearHead, score_heads
from vidseg.classifiers.linear.levels import is_finite
from vidseg.classifiers.pyramid import Pyramid, Resize, as_tensor, axis_matrix, shared
from vidseg.errors import DataError
from vidseg.types import Features, Size

sizes = st.builds(Size, st.integers(1, 40), st.integers(1, 40))
seeds = st.integers(0, 2**31)
PAIRS = [
    (Size(5, 8), Size(18, 26)),
    (Size(24, 32), Size(11, 13)),
    (Size(24, 10), Size(7, 33)),
    (Size(7, 33), Size(24, 10)),
    (Size(9, 9), Size(9, 9)),
    (Size(9, 9), Size(9, 20)),
    (Size(1, 1), Size(6, 7)),
    (Size(101, 67), Size(3, 1)),
    (Size(89, 159), Size(180, 320)),
]


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


def random_features(seed: int, shapes: list[tuple[int, Size]]) -> Features:
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(1, 2, (c, *size)).astype(np.float16) for c, size in shapes)


def random_head(seed: int, features: Features, bias: float = 0.3) -> LinearHead:
    rng = np.random.default_rng(seed)
    weights = tuple(rng.standard_normal(len(level)).astype(np.float32) for level in features)
    return LinearHead(weights, bias, tuple(range(len(features))), "abc", {})


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


def test_hypercolumns_of_chosen_pixels() -> None:
    features = random_features(4, [(4, Size(24, 32)), (3, Size(5, 8))])
    target = Size(18, 26)
    pixels = np.random.default_rng(0).permutation(18 * 26)[:50]
    some = hypercolumns(features, target, pixels)
    np.testing.assert_array_equal(some, hypercolumns(features, target)[pixels])
    out = np.empty((50, 7), np.float32)
    assert hypercolumns(features, target, pixels, out) is out
    np.testing.assert_array_equal(out, some)
    with pytest.raises(ValueError, match="not among 468"):
        hypercolumns(features, target, pixels + 450)
    with pytest.raises(ValueError, match=r"\(50, 7\)"):
        hypercolumns(features, target, pixels, out[:, :6])


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_hypercolumns_equal_a_sparse_product_bit_by_bit(source: Size, target: Size) -> None:
    (level,) = random_features(5, [(13, source)])
    rows, columns = (
        axis_matrix(source.height, target.height),
        axis_matrix(source.width, target.width),
    )
    # float32 weights, products before sums, sources in ascending order
    matrix = csr_matrix(
        np.einsum("yi,xj->yxij", rows.astype("f4"), columns.astype("f4")).reshape(
            target.height * target.width, -1
        )
    )
    expected = matrix @ np.ascontiguousarray(level.reshape(13, -1).T, np.float32)
    np.testing.assert_array_equal(hypercolumns([level], target), expected)


def test_many_heads_score_as_each_alone() -> None:
    features = random_features(5, [(16, Size(24, 32)), (32, Size(5, 8))])
    heads = [random_head(seed, features, bias=seed) for seed in range(5)]
    together = score_heads(heads, features, Size(18, 26))
    assert together.shape == (5, 18, 26)
    assert together.dtype == np.float32
    for head, scores in zip(heads, together, strict=True):
        np.testing.assert_allclose(scores, head.scores(features, Size(18, 26)), atol=1e-4)


def test_scores_are_repeatable_and_leave_features_alone() -> None:
    features = random_features(6, [(16, Size(18, 26))])
    before = [level.copy() for level in features]
    for level in features:
        level.setflags(write=False)
    head = random_head(0, features)
    first, second = (head.scores(features, Size(18, 26)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(features[0], before[0])


def test_head_round_trip_and_foreign_extractor() -> None:
    features = random_features(7, [(4, Size(6, 7)), (3, Size(3, 4))])
    warm = {"weight": np.arange(7.0), "bias": np.array([2.0])}
    head = LinearHead(random_head(0, features).weights, -1.25, (0, 2), "abc", warm)
    state = head.export()
    again = LinearHead.load(state, "abc")
    np.testing.assert_array_equal(
        again.scores(features, Size(9, 9)), head.scores(features, Size(9, 9))
    )
    assert (again.levels, again.bias) == ((0, 2), -1.25)
    np.testing.assert_array_equal(again.warm["weight"], warm["weight"])
    with pytest.raises(DataError, match="trained on extractor abc, not on xyz"):
        LinearHead.load(state, "xyz")
    del state["bias"]
    with pytest.raises(DataError, match="no array 'bias'"):
        LinearHead.load(state, "abc")


def test_head_refuses_other_channels() -> None:
    features = random_features(8, [(4, Size(6, 7))])
    with pytest.raises(DataError, match=r"\[4\] channels, the features have \[5\]"):
        random_head(0, features).scores(random_features(8, [(5, Size(6, 7))]), Size(9, 9))


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
