"""Noise: its variance, its seeds, its 8-bit form, the samplers that make it."""

from __future__ import annotations

import gc
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.clips import Clip, ClipContext, random_clip, sampler
from tests.helpers.training import TinyHandle
from vidseg import plugins
from vidseg.errors import DataError, PluginError, UsageError
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.samplers import noise
from vidseg.samplers.noise import Noise, deviation, variance
from vidseg.samplers.noised import Noised
from vidseg.tasks.segmentation.baselines import fit_baselines
from vidseg.types import FrameRef, Variant


def make(spec: str, *clips: Clip, seed: int = 0) -> list[FrameRef]:
    return sampler(spec).sample(clips, ClipContext(seed))


def plain(**changed: object) -> Noise:
    base = Noise("a", start=0, frames=20, per="image", round=False, fresh=False, seed=3, copy=0)
    return replace(base, **changed)


def residuals(clip: Clip, variant: Noise, copies: int) -> np.ndarray:
    image = clip.images[0].astype(np.float64)
    drawn = [replace(variant, copy=c).render(clip, 0, 0)[0] - image for c in range(copies)]
    return np.stack(drawn)


def test_variance_is_the_unbiased_one_of_each_pixel() -> None:
    clip = random_clip()
    expected = clip.images[4:24].astype(np.float64).var(axis=0, ddof=1)
    np.testing.assert_allclose(variance(clip, 4, 20), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("per", "axes"), [("image", (0, 1, 2)), ("channel", (0, 1))])
def test_noise_has_the_measured_variance_to_one_percent(
    per: noise.Per, axes: tuple[int, ...]
) -> None:
    clip = random_clip(size=(60, 80))
    wanted = clip.images[:20].astype(np.float64).var(axis=0, ddof=1).mean(axis=axes)
    drawn = residuals(clip, plain(per=per), 40)
    found = drawn.var(axis=(0, *(1 + axis for axis in axes)))
    np.testing.assert_allclose(found, wanted, rtol=0.01)
    assert abs(drawn.mean()) < 0.05


def test_noise_per_pixel_follows_each_pixel() -> None:
    clip = random_clip(size=(8, 10))
    clip.images[:, :, :2] = 77
    wanted = clip.images[:20].astype(np.float64).var(axis=0, ddof=1)
    drawn = residuals(clip, plain(per="pixel"), 4000)
    assert not drawn[:, :, :2].any()
    ratio = drawn.var(axis=0)[:, 2:] / wanted[:, 2:]
    assert abs(ratio.mean() - 1) < 0.01
    assert 0.85 < ratio.min() <= ratio.max() < 1.15


def test_the_window_is_what_is_measured() -> None:
    clip = random_clip(length=40)
    clip.images[20:] = clip.images[20]
    assert deviation(clip, 20, 20, "image") == 0
    assert deviation(clip, 0, 20, "image") > 5


def test_rounding_gives_the_nearest_8_bit_image() -> None:
    clip = random_clip(around=40, spread=60)
    exact, _ = plain().render(clip, 0, 0)
    rounded, mask = plain(round=True).render(clip, 0, 0)
    assert exact.dtype == np.float32
    assert rounded.dtype == np.uint8
    assert exact.min() < 0
    np.testing.assert_array_equal(rounded, np.rint(exact).clip(0, 255))
    np.testing.assert_array_equal(mask, clip.mask(0))


def test_rounding_alone_adds_a_twelfth() -> None:
    clip = random_clip(size=(60, 80), spread=1.5)
    free = residuals(clip, plain(), 30).var()
    rounded = residuals(clip, plain(round=True), 30).var()
    assert rounded - free == pytest.approx(1 / 12, rel=0.1)


def test_the_draw_depends_on_seed_video_frame_copy_and_fresh_epoch() -> None:
    clip = random_clip()
    base = plain(fresh=True)

    def drawn(variant: Noise, index: int = 0, epoch: int = 0) -> bytes:
        image = variant.render(clip, index, epoch)[0] - clip.images[index]
        return np.rint(image * 1000).tobytes()

    again = drawn(replace(base))
    assert drawn(base) == again
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


def test_a_variant_is_part_of_a_key() -> None:
    assert isinstance(plain(), Variant)
    assert plain() == plain()
    assert hash(plain()) == hash(plain())
    assert repr(plain()) == (
        "Noise(video='a', start=0, frames=20, per='image', "
        "round=False, fresh=False, seed=3, copy=0)"
    )


def test_a_window_is_measured_once_for_all_copies_and_epochs() -> None:
    clip = random_clip()
    for copy in range(5):
        for epoch in range(3):
            plain(copy=copy, fresh=True).render(clip, 0, epoch)
    assert clip.reads[7] == 1
    assert clip.reads[0] == 1 + 15


def test_the_memory_of_a_video_ends_with_it() -> None:
    clip = random_clip()
    deviation(clip, 0, 20, "pixel")
    before = len(noise._CACHES)
    del clip
    gc.collect()
    assert len(noise._CACHES) == before - 1


def test_maps_per_pixel_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = random_clip(length=40)
    monkeypatch.setattr(noise, "CACHE_BYTES", 3 * clip.images[0].size * 4)
    for start in range(10):
        deviation(clip, start, 20, "pixel")
    assert [key[0] for key in noise._CACHES[clip]] == [7, 8, 9]


def test_noised_makes_copies_of_every_frame_of_the_base() -> None:
    clips = random_clip("a", 25), random_clip("b", 30)
    refs = make("noised:base=[successive:n=2],copies=3,window=10,per=channel", *clips, seed=7)
    assert [(ref.video, ref.index, ref.variant.copy) for ref in refs] == [
        (video, index, copy) for video in "ab" for index in (0, 1) for copy in range(3)
    ]
    assert refs[4].variant == Noise("a", 1, 10, "channel", True, True, 7, 1)
    assert len(set(refs)) == len(refs)


@pytest.mark.parametrize("base", ["1by20", "[1by20]", "[strided:every=20,n=20]"])
def test_the_base_is_a_name_or_a_spec(base: str) -> None:
    clip = random_clip(length=400, size=(4, 4))
    assert make(f"noised:base={base}", clip) == make("20x20", clip)


def test_paper_settings() -> None:
    clip = random_clip(length=400, size=(4, 4))
    assert [ref.index for ref in make("1x20", clip)] == [0] * 20
    assert make("1x20", clip) == make("noised", clip)
    big = make("20x20", clip)
    assert [ref.index for ref in big] == [i for i in range(0, 400, 20) for _ in range(20)]
    assert {(ref.index, ref.variant.start, ref.variant.frames) for ref in big} == {
        (i, i, 20) for i in range(0, 400, 20)
    }


def test_short_videos() -> None:
    clip = random_clip(length=45, size=(4, 4))
    with pytest.raises(DataError, match="video a"):
        make("20x20", clip)
    refs = make("20x20:short=all", clip)
    windows = {(ref.index, ref.variant.start, ref.variant.frames) for ref in refs}
    assert windows == {(0, 0, 20), (20, 20, 20), (40, 25, 20)}
    (window,) = {(r.variant.start, r.variant.frames) for r in make("1x20", random_clip(length=7))}
    assert window == (0, 7)


def test_the_last_frame_has_a_window_too() -> None:
    clip = random_clip(length=21)
    last = make("noised:base=[successive:start=20,n=1],copies=1", clip)[0]
    assert (last.variant.start, last.variant.frames) == (1, 20)
    expected = clip.images[1:21].astype(np.float64).var(axis=0, ddof=1).mean()
    assert deviation(clip, 1, 20, "image").item() ** 2 == pytest.approx(expected, rel=1e-6)


def test_a_one_frame_video_is_refused() -> None:
    with pytest.raises(DataError, match=r"video b frame 0: .*one-frame window"):
        make("1x20", random_clip("a", 5), random_clip("b", 1))


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ("window=1", "window=1"),
        ("copies=0", "copies=0"),
        ("per=frame", "per=frame"),
        ("base=[none]", "no sampler 'none'"),
        ("base=3", "no sampler '3'"),
        ("base=1.5", "base=1.5"),
        ("sigma=3", "no parameter 'sigma'"),
    ],
)
def test_bad_parameters(params: str, found: str) -> None:
    with pytest.raises(PluginError) as caught:
        plugins.create("sampler", f"noised:{params}")
    assert found in str(caught.value)


def test_copies_of_copies_are_refused() -> None:
    with pytest.raises(UsageError, match="Noise frames cannot be changed again"):
        make("noised:base=[noised:copies=2]", random_clip())


def test_a_frame_that_the_base_takes_twice_gets_different_copies() -> None:
    class Twice:
        contract = 1

        def sample(self, videos: list[Clip], ctx: ClipContext) -> list[FrameRef]:
            return [ctx.ref(video, 0) for video in videos for _ in range(2)]

    refs = Noised(base=Twice(), copies=2).sample([random_clip()], ClipContext())
    assert [ref.variant.copy for ref in refs] == [0, 1, 2, 3]


def test_unrounded_images_reach_the_extractor_and_the_baselines() -> None:
    clip = random_clip(around=60, spread=60)
    image, mask = plain().render(clip, 0, 0)
    extractor = FrozenExtractor(TinyHandle(), threads=1)
    exact = extractor.extract(image)
    rounded = extractor.extract(plain(round=True).render(clip, 0, 0)[0])
    assert not np.array_equal(exact[0], rounded[0])
    whole = np.rint(image).clip(0, 255)
    same = extractor.extract(whole.astype(np.float32))
    for left, right in zip(same, extractor.extract(whole.astype(np.uint8)), strict=True):
        np.testing.assert_array_equal(left, right)

    class Train:
        refs = (FrameRef("a", 0, plain()),)
        mask_size = clip.images.shape[1:3]

        def frame(self, ref: FrameRef) -> np.ndarray:
            return image

        def mask(self, ref: FrameRef) -> np.ndarray:
            return mask

    assert image.min() < 0
    colour = fit_baselines(Train())["colour"].export()["share"]
    assert np.isfinite(colour).all()


@pytest.mark.real
def test_noise_on_real_frames(samples: Path) -> None:
    dataset = plugins.create("dataset", f"mot:{samples / 'mot' / 'TUD-Campus'}")
    (video,) = dataset.videos()
    clip = Clip(video.name, np.stack(list(video.frames(range(20)))))
    digest = hashlib.sha256(clip.images.tobytes()).hexdigest()
    wanted = clip.images.astype(np.float64).var(axis=0, ddof=1).mean()
    drawn = residuals(clip, plain(), 10)
    assert drawn.var() == pytest.approx(wanted, rel=0.01)
    lost = 1 - residuals(clip, plain(round=True), 10).var() / wanted
    assert 0.0 < lost < 0.2
    assert hashlib.sha256(clip.images.tobytes()).hexdigest() == digest
