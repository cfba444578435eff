"""The weight-free filter bank: against scipy and scikit-image's formulas, on odd sizes, in use."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from vidseg.errors import UsageError
from vidseg.extractors.filters import CHANNELS, SIGMAS, Filters
from vidseg.types import Size


def levels_of(image: np.ndarray, octaves: int = 4) -> list[np.ndarray]:
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        return [level[0].numpy() for level in Filters(octaves).build()(batch)]


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    noise = np.random.default_rng(3).uniform(0, 255, (61, 83, 3))
    return ndimage.gaussian_filter(noise, (2, 2, 0)).astype(np.uint8)


@pytest.mark.parametrize("size", [(180, 320), (181, 323), (33, 47), (32, 32)])
def test_announced_shapes_are_true(size: tuple[int, int]) -> None:
    handle = Filters()
    outputs = levels_of(np.zeros((*size, 3), np.uint8))
    sizes = handle.sizes(Size(*size))
    assert [x.shape for x in outputs] == [
        (c, *s) for c, s in zip(handle.channels, sizes, strict=True)
    ]
    assert 60 <= sum(handle.channels) <= 150


def test_too_small_names_a_size_that_works() -> None:
    with pytest.raises(UsageError, match="47x32 works"):
        Filters().sizes(Size(30, 47))
    Filters().sizes(Size(32, 47))
    Filters(2).sizes(Size(30, 47))


def test_fingerprint_depends_on_levels_only() -> None:
    assert Filters(3).fingerprint == Filters(3).fingerprint != Filters(4).fingerprint


def test_lab_equals_the_textbook(picture: np.ndarray) -> None:
    lab = levels_of(picture, 1)[0][3:6].transpose(1, 2, 0)
    cv2 = pytest.importorskip("cv2")
    truth = cv2.cvtColor((picture / 255).astype(np.float32), cv2.COLOR_RGB2LAB)
    np.testing.assert_allclose(lab[..., 0] * 50 + 50, truth[..., 0], atol=0.5)
    np.testing.assert_allclose(lab[..., 1:] * 50, truth[..., 1:], atol=1.0)


def test_gradient_equals_scipys_gaussian_derivative(picture: np.ndarray) -> None:
    level = levels_of(picture, 1)[0]
    light = level[3].astype(np.float64)
    for number, sigma in enumerate(SIGMAS):
        dy, dx = (
            ndimage.gaussian_filter(light, sigma, o, mode="nearest") for o in ((1, 0), (0, 1))
        )
        np.testing.assert_allclose(level[8 + number], sigma * np.hypot(dy, dx), atol=2e-3)


def test_second_derivatives_equal_scipys(picture: np.ndarray) -> None:
    level = levels_of(picture, 1)[0]
    light, first = level[3].astype(np.float64), 8 + 3 * len(SIGMAS)
    xx = ndimage.gaussian_filter(light, SIGMAS[0], (0, 2), mode="nearest")
    yy = ndimage.gaussian_filter(light, SIGMAS[0], (2, 0), mode="nearest")
    xy = ndimage.gaussian_filter(light, SIGMAS[0], (1, 1), mode="nearest")
    for channel, truth in ((2, xx), (3, (xx + yy) / 2 + xy), (4, yy), (5, (xx + yy) / 2 - xy)):
        np.testing.assert_allclose(
            level[first + channel], SIGMAS[0] ** 2 * np.abs(truth), atol=4e-3
        )


def test_local_statistics_equal_a_window_by_hand(picture: np.ndarray) -> None:
    level = levels_of(picture, 1)[0]
    y, x = 30, 40
    window = level[3, y - 4 : y + 5, x - 4 : x + 5]
    assert level[-7, y, x] == pytest.approx(window.mean(), abs=1e-5)
    assert level[-4, y, x] == pytest.approx(window.std(), abs=1e-4)
    corner = level[3, :5, :5]
    assert level[-7, 0, 0] == pytest.approx(corner.mean(), abs=1e-5)


def test_a_flat_image_has_no_edges() -> None:
    flat = levels_of(np.full((40, 40, 3), 130, np.uint8), 1)[0]
    responses = flat[8:-7]
    assert np.abs(responses).max() < 1e-4
    assert len(flat) == CHANNELS


def test_noise_that_was_not_clipped_stays_bounded() -> None:
    noisy = np.random.default_rng(0).normal(0, 60, (64, 64, 3)).astype(np.float32)
    assert all(np.abs(level).max() < 50 for level in levels_of(noisy))


def test_a_linear_svm_finds_textured_figures() -> None:
    from sklearn.linear_model import SGDClassifier
    from sklearn.preprocessing import StandardScaler

    def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        ground = ndimage.gaussian_filter(rng.normal(0, 1, (96, 128)), 3) * 200 + 120
        image = np.repeat(ground[..., None], 3, 2) + rng.normal(0, 4, (96, 128, 3))
        y, x = np.mgrid[:96, :128]
        top, left = rng.integers(20, 60), rng.integers(20, 100)
        mask = ((y - top) / 18) ** 2 + ((x - left) / 9) ** 2 < 1
        stripes = 120 + 25 * np.sign(np.sin(y * 1.5))
        image[mask] = stripes[mask][:, None] + rng.normal(0, 4, (mask.sum(), 3))
        return image.clip(0, 255).astype(np.uint8), mask

    def points(seeds: range, step: int) -> tuple[np.ndarray, np.ndarray]:
        rows, labels = [], []
        for seed in seeds:
            image, mask = scene(seed)
            levels = [torch.from_numpy(level)[None] for level in levels_of(image)]
            resized = [
                torch.nn.functional.interpolate(level, mask.shape, mode="bilinear")[0]
                for level in levels
            ]
            rows.append(torch.cat(resized).flatten(1).T.numpy()[::step])
            labels.append(mask.ravel()[::step])
        return np.concatenate(rows), np.concatenate(labels)

    train, truth = points(range(6), 5)
    scaler = StandardScaler().fit(train)
    svm = SGDClassifier(alpha=1e-4, max_iter=5, tol=None, random_state=0)
    svm.fit(scaler.transform(train), truth)
    test, wanted = points(range(100, 103), 1)
    found = svm.predict(scaler.transform(test))
    # Figures and ground have the same mean brightness: colour alone would be at chance.
    assert (found & wanted).sum() / (found | wanted).sum() > 0.6
