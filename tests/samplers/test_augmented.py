"""Augmentation: geometry of image and mask, colours, seeds, bad parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.helpers.clips import Clip, ClipContext, random_clip, sampler
from vidseg import plugins
from vidseg.errors import DataError, PluginError, UsageError
from vidseg.samplers.augment import Augment, Geometry, _moved
from vidseg.types import Size, Variant


def still(**changed: object) -> Augment:
    """Return a variant that changes nothing, but for ``changed``."""
    nothing = Augment("a", flip=0, scale=1, crop=0, colour=0, blur=0, fresh=False, seed=0, copy=0)
    return replace(nothing, **changed)


class Marked(Clip):
    """A frame whose foreground is a red box on grey; the mask shows the same box."""

    def __init__(self, mask_size: Size | None = None) -> None:
        images = np.full((2, 60, 80, 3), 120, np.uint8)
        images[:, 10:30, 20:48] = (250, 30, 30)
        super().__init__("a", images, mask_size)

    def mask(self, index: int) -> np.ndarray:
        height, width = self.mask_size or self.images.shape[1:3]
        mask = np.full((height, width), -1, np.int8)
        mask[height // 6 : height // 2, width // 4 : width * 3 // 5] = 1
        return mask


def test_nothing_changes_when_nothing_may() -> None:
    clip = random_clip()
    image, mask = still().render(clip, 3, 0)
    np.testing.assert_array_equal(image, clip.images[3])
    np.testing.assert_array_equal(mask, clip.mask(3))


def test_a_flip_exchanges_left_and_right() -> None:
    clip = random_clip()
    image, mask = still(flip=1).render(clip, 0, 0)
    np.testing.assert_array_equal(image, clip.images[0][:, ::-1])
    np.testing.assert_array_equal(mask, clip.mask(0)[:, ::-1])


def test_half_of_the_copies_are_flipped() -> None:
    clip = random_clip(size=(4, 6))
    flipped = [
        np.array_equal(still(flip=0.5, copy=c).render(clip, 0, 0)[0], clip.images[0][:, ::-1])
        for c in range(200)
    ]
    assert 75 < sum(flipped) < 125


def centre(inside: np.ndarray) -> np.ndarray:
    """Return the centre of a region as shares of height and width."""
    return (np.argwhere(inside) + 0.5).mean(0) / inside.shape


@pytest.mark.parametrize("mask_size", [None, Size(30, 40), Size(90, 160)])
def test_the_mask_moves_with_the_image_at_any_size(mask_size: Size | None) -> None:
    clip = Marked(mask_size)
    for copy in range(12):
        variant = still(flip=0.5, scale=1.5, crop=0.4, copy=copy)
        image, mask = variant.render(clip, 0, 0)
        assert image.shape == clip.images[0].shape
        assert mask.shape == clip.mask(0).shape
        seen = image[..., 0].astype(float) - image[..., 1] > 110
        pixel = 1 / min(30, *image.shape[:2])
        np.testing.assert_allclose(centre(mask == 1), centre(seen), atol=0.6 * pixel)
        assert (mask == 1).mean() == pytest.approx(seen.mean(), rel=0.15)


def test_outside_the_frame_is_ignored() -> None:
    clip = Marked()
    planes = torch.from_numpy(clip.mask(0)[None])
    moved = _moved(planes, Geometry(False, 0.5, (0.0, 0.0)), [0.0], smooth=False)[0].numpy()
    inside = np.zeros((60, 80), bool)
    inside[15:45, 20:60] = True
    np.testing.assert_array_equal(moved != 0, inside)
    np.testing.assert_array_equal(moved[inside].reshape(30, 40), clip.mask(0)[1::2, 1::2])


def test_outside_the_frame_has_its_mean_colour() -> None:
    clip = Marked()
    found = False
    for copy in range(20):
        image, mask = still(scale=2, copy=copy).render(clip, 0, 0)
        outer = mask == 0
        if outer[:3].all():
            found = True
            mean = clip.images[0].mean((0, 1))
            np.testing.assert_allclose(image[0, 0], mean, atol=0.51)
    assert found


def test_a_crop_never_looks_outside() -> None:
    clip = Marked()
    areas = []
    for copy in range(40):
        _, mask = still(crop=0.5, copy=copy).render(clip, 0, 0)
        assert (mask != 0).all()
        areas.append((mask == 1).mean())
    whole = (clip.mask(0) == 1).mean()
    assert max(areas) > 1.5 * whole


def test_shift_and_zoom_are_exact() -> None:
    planes = torch.arange(8 * 8, dtype=torch.float32).reshape(1, 8, 8)
    moved = _moved(planes, Geometry(False, 1.0, (0.25, -0.125)), [-1.0], smooth=True)[0]
    torch.testing.assert_close(moved[:7, 2:], planes[0, 1:, :6])
    assert (moved[:, :2] == -1).all()
    assert (moved[7] == -1).all()
    enlarged = _moved(planes, Geometry(False, 2.0, (0.0, 0.0)), [-1.0], smooth=False)[0]
    torch.testing.assert_close(
        enlarged, planes[0, 2:6, 2:6].repeat_interleave(2, 0).repeat_interleave(2, 1)
    )


def test_colours_change_and_the_mask_does_not() -> None:
    clip = Marked()
    means = []
    for copy in range(30):
        image, mask = still(colour=0.3, copy=copy).render(clip, 0, 0)
        np.testing.assert_array_equal(mask, clip.mask(0))
        means.append(image[50:, 70:].mean())
    assert min(means) < 105 < 135 < max(means)
    assert min(means) > 70
    assert max(means) < 175


def test_blur_keeps_the_mean_and_lowers_the_variance() -> None:
    clip = random_clip(size=(60, 80), spread=40)
    image, mask = still(blur=3, copy=1).render(clip, 0, 0)
    before = clip.images[0].astype(float)
    assert image.mean() == pytest.approx(before.mean(), abs=0.5)
    assert image.std() < 0.8 * before.std()
    np.testing.assert_array_equal(mask, clip.mask(0))


def test_a_tiny_image_may_be_blurred_hard() -> None:
    image, _ = still(blur=20).render(random_clip(size=(8, 8)), 0, 0)
    assert image.shape == (8, 8, 3)


def test_the_draw_depends_on_seed_video_frame_copy_and_fresh_epoch() -> None:
    clip = random_clip(length=2)
    clip.images[1] = clip.images[0]
    base = still(flip=0.5, scale=1.3, crop=0.2, colour=0.3, blur=1.0, fresh=True)

    def drawn(variant: Augment, index: int = 0, epoch: int = 0) -> bytes:
        return variant.render(clip, index, epoch)[0].tobytes()

    again = drawn(replace(base))
    assert again == drawn(base)
    others = [
        drawn(replace(base, seed=4)),
        drawn(replace(base, video="b")),
        drawn(replace(base, copy=1)),
        drawn(base, index=1),
        drawn(base, epoch=1),
    ]
    assert len({again, *others}) == 6
    fixed = replace(base, fresh=False)
    assert drawn(fixed, epoch=5) == drawn(fixed, epoch=0)


def test_global_state_of_torch_is_left_alone() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    still(flip=0.5, scale=1.3, crop=0.2, colour=0.3, blur=1.0).render(random_clip(), 0, 0)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_bits_do_not_depend_on_threads() -> None:
    clip = random_clip(size=(90, 120))
    before = torch.get_num_threads()
    images = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        variant = still(flip=1, scale=1.3, crop=0.2, colour=0.3, blur=2.0)
        images.append(variant.render(clip, 0, 0)[0])
    torch.set_num_threads(before)
    np.testing.assert_array_equal(*images)


def test_augmented_makes_copies_of_every_frame_of_the_base() -> None:
    made = sampler("augmented:base=[successive:n=2],copies=3,blur=0")
    refs = made.sample([random_clip("a"), random_clip("b")], ClipContext(seed=5))
    assert [(ref.video, ref.index, ref.variant.copy) for ref in refs] == [
        (video, index, copy) for video in "ab" for index in (0, 1) for copy in range(3)
    ]
    assert refs[7].variant == Augment("b", 0.5, 1.25, 0.2, 0.2, 0.0, True, 5, 1)
    assert isinstance(refs[0].variant, Variant)
    assert len(set(refs)) == len(refs)


def test_as_many_images_as_the_real_frames() -> None:
    clip, ctx = random_clip(length=400, size=(4, 4)), ClipContext()
    for real, spec in (("20", "augmented"), ("400", "augmented:base=1by20")):
        copies = sampler(spec).sample([clip], ctx)
        assert len(copies) == len(sampler(real).sample([clip], ctx))


@pytest.mark.parametrize(
    "params",
    ["flip=1.5", "flip=-0.1", "scale=0.5", "scale=.inf", "crop=1", "colour=2", "blur=-1",
     "blur=.nan", "copies=0", "base=1.5", "zoom=2"],
)  # fmt: skip
def test_bad_parameters(params: str) -> None:
    with pytest.raises(PluginError) as caught:
        plugins.create("sampler", f"augmented:{params}")
    assert params.partition("=")[0] in str(caught.value)


def test_a_change_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="change nothing"):
        plugins.create("sampler", "augmented:flip=0,scale=1,crop=0,colour=0,blur=0")


def test_copies_of_copies_are_refused() -> None:
    made = sampler("augmented:base=[1x20]")
    with pytest.raises(UsageError, match="Noise frames cannot be changed again"):
        made.sample([random_clip()], ClipContext())


def test_what_the_base_refuses_is_refused() -> None:
    made = sampler("augmented:base=20,copies=1")
    with pytest.raises(DataError, match="video a"):
        made.sample([random_clip(length=10)], ClipContext())
