"""Dense masks: layouts, what values mean, and every way in which folders contradict each other."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.trees import davis_tree, mask_tree, mask_values, picture, truncate
from vidseg.datasets.masks import Masks
from vidseg.errors import DataError, UsageError
from vidseg.tasks.segmentation.rasterise import rasterise
from vidseg.types import Labels, Size


def write(file: Path, values, mode: str | None = None) -> None:
    image = Image.fromarray(np.asarray(values, np.uint8))
    if mode == "P":
        palette = Image.new("P", image.size)
        palette.putdata(np.asarray(values).ravel().tolist())
        palette.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
        image = palette
    elif mode:
        image = image.convert(mode)
    image.save(file)


def one_mask(tmp_path: Path, values, mode: str | None = None, **options) -> np.ndarray:
    """Return the mask that ``values`` in a file of ``mode`` become."""
    size = np.asarray(values).shape[::-1]
    mask_tree(tmp_path, (), frames=1, size=size)
    write(tmp_path / "masks" / "frame_000.png", values, mode)
    return Masks(str(tmp_path), **options).videos()[0].labels(0).mask


@pytest.mark.parametrize("palette", [False, True])
def test_davis_of_both_years(tmp_path, palette):
    data = Masks(str(davis_tree(tmp_path / "DAVIS", palette=palette)))
    assert data.name == "DAVIS"
    assert [v.name for v in data.videos()] == ["bear", "camel"]
    video = data.videos()[1]
    assert video.probe() == (4, Size(48, 64), None)
    for index in range(4):
        labels = video.labels(index)
        assert isinstance(labels, Labels)
        wanted = np.where(mask_values(index) > 0, 1, -1)
        np.testing.assert_array_equal(labels.mask, wanted)
        np.testing.assert_array_equal(rasterise(labels, Size(48, 64)), wanted)
    (frame,) = video.frames([3])
    assert np.abs(frame.astype(int) - picture(3, seed=1)).mean() < 6


def test_plain_folders_with_and_without_videos(tmp_path):
    many = Masks(str(mask_tree(tmp_path / "many", ("v10", "v2")))).videos()
    assert [v.name for v in many] == ["v2", "v10"]
    (single,) = Masks(str(mask_tree(tmp_path / "single", ()))).videos()
    assert single.name == single.group == "single"
    np.testing.assert_array_equal(next(single.frames([2])), picture(2))


def test_folders_by_name(tmp_path):
    mask_tree(tmp_path)
    (tmp_path / "images").rename(tmp_path / "rgb")
    (tmp_path / "masks").rename(tmp_path / "person")
    assert len(Masks(str(tmp_path), images="rgb", masks="person").videos()) == 2
    with pytest.raises(DataError, match="holds no known layout"):
        Masks(str(tmp_path))
    with pytest.raises(DataError, match="no such folder"):
        Masks(str(tmp_path), images="rgb", masks="car")
    with pytest.raises(UsageError, match="given together"):
        Masks(str(tmp_path), images="rgb")


def test_resolutions(tmp_path):
    davis_tree(tmp_path, resolution="480p")
    assert len(Masks(str(tmp_path)).videos()) == 2
    davis_tree(tmp_path, resolution="1080p", size=(96, 64))
    with pytest.raises(UsageError, match="resolutions 480p, 1080p; choose one: resolution=480p"):
        Masks(str(tmp_path))
    chosen = Masks(str(tmp_path), resolution="1080p").videos()[0]
    assert chosen.probe().size == Size(64, 96)
    with pytest.raises(UsageError, match="no resolution '720p'; it has 480p, 1080p"):
        Masks(str(tmp_path), resolution="720p")


VALUES = np.arange(64).reshape(8, 8) * 4 + 3  # 3, 7, ..., 255
INDICES = np.repeat([0, 1, 2, 255], 16).reshape(8, 8)


def test_grey_255_is_foreground_by_default(tmp_path):
    mask = one_mask(tmp_path, np.repeat([0, 128, 255, 255], 16).reshape(8, 8))
    np.testing.assert_array_equal(mask, np.repeat([-1, 1, 1, 1], 16).reshape(8, 8))


def test_palette_255_is_void_by_default(tmp_path):
    mask = one_mask(tmp_path, INDICES, "P")
    np.testing.assert_array_equal(mask, np.repeat([-1, 1, 1, 0], 16).reshape(8, 8))


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"foreground": (2,)}, [-1, -1, 1, 0]),
        ({"foreground": (1, 255)}, [-1, 1, -1, 1]),
        ({"void": (1,)}, [-1, 0, 1, 1]),
        ({"foreground": (1,), "void": (2,)}, [-1, 1, 0, -1]),
        ({"foreground": (0,), "void": ()}, [1, -1, -1, -1]),
    ],
)
def test_values_by_option(tmp_path, options, wanted):
    mask = one_mask(tmp_path, INDICES, "P", **options)
    np.testing.assert_array_equal(mask, np.repeat(wanted, 16).reshape(8, 8))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA"])
def test_kinds_of_files(tmp_path, mode):
    values = np.repeat([0, 255], 32).reshape(8, 8)
    mask = one_mask(tmp_path, values, mode)
    np.testing.assert_array_equal(mask, np.where(values > 0, 1, -1))


def test_a_value_cannot_be_two_things(tmp_path):
    with pytest.raises(UsageError, match="255 is both foreground and void"):
        Masks(str(mask_tree(tmp_path)), foreground=(255,), void=(255,))


def test_a_colour_picture_is_no_mask(tmp_path):
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[0, 0] = (255, 0, 0)
    mask_tree(tmp_path, (), frames=1, size=(8, 8))
    Image.fromarray(colours).save(tmp_path / "masks" / "frame_000.png")
    with pytest.raises(DataError, match=r"frame_000\.png: is a colour picture, not a mask"):
        Masks(str(tmp_path)).videos()[0].labels(0)


def test_sixteen_bits_are_values_of_masks_but_no_pictures(tmp_path):
    mask_tree(tmp_path, (), frames=1, size=(8, 8))
    values = np.repeat([0, 1, 256, 40000], 16).reshape(8, 8).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "masks" / "frame_000.png")
    np.testing.assert_array_equal(
        Masks(str(tmp_path)).videos()[0].labels(0).mask, np.where(values > 0, 1, -1)
    )
    named = Masks(str(tmp_path), foreground=(40000,), void=(256,)).videos()[0].labels(0).mask
    np.testing.assert_array_equal(named[::2, 0], [-1, -1, 0, 1])
    Image.fromarray(values.astype(np.float32)).save(tmp_path / "masks" / "frame_000.tif")
    (tmp_path / "masks" / "frame_000.png").unlink()
    with pytest.raises(DataError, match="is of kind 'F', up to 16 bits of grey are read"):
        Masks(str(tmp_path)).videos()[0].labels(0)
    Image.fromarray(np.ones((8, 8), np.uint16)).save(tmp_path / "images" / "frame_000.png")
    with pytest.raises(DataError, match="8 bits a channel are needed"):
        list(Masks(str(tmp_path)).videos()[0].frames([0]))


def test_keys_follow_content(tmp_path):
    mask_tree(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    write(tmp_path / "two" / "masks" / "a" / "frame_001.png", mask_values(3))
    one, two = (Masks(str(tmp_path / n)).videos() for n in ("one", "two"))
    assert [v.image_key for v in one] == [v.image_key for v in two]
    assert one[0].image_key != one[1].image_key
    assert one[0].label_key != two[0].label_key
    assert one[1].label_key == two[1].label_key
    other = Masks(str(tmp_path / "one"), foreground=(3,)).videos()[0]
    assert other.image_key == one[0].image_key
    assert other.label_key != one[0].label_key


def test_a_frame_without_a_mask_is_not_labelled(tmp_path):
    mask_tree(tmp_path)
    whole = Masks(str(tmp_path)).videos()[1]
    whole_key = whole.label_key
    assert list(whole.labelled()) == [0, 1, 2, 3]
    (tmp_path / "masks" / "b" / "frame_002.png").unlink()
    sparse = Masks(str(tmp_path))
    video = sparse.videos()[1]
    assert list(video.labelled()) == [0, 1, 3]
    assert sparse.notes() == ["b: 1 of 4 frames has no mask file and is not labelled"]
    np.testing.assert_array_equal(video.labels(3).mask == 1, mask_values(3) > 0)
    with pytest.raises(DataError, match="b: frame 2 is not labelled"):
        video.labels(2)
    keys = {whole_key, video.label_key}
    (tmp_path / "masks" / "b" / "frame_001.png").rename(tmp_path / "masks" / "b" / "frame_002.png")
    moved = Masks(str(tmp_path)).videos()[1]
    assert list(moved.labelled()) == [0, 2, 3]
    assert len(keys | {moved.label_key}) == 3


def test_a_mask_without_a_frame_and_a_video_without_masks_are_faults(tmp_path):
    mask_tree(tmp_path)
    (tmp_path / "masks" / "b" / "frame_002.png").unlink()
    (tmp_path / "images" / "b" / "frame_002.png").unlink()
    (tmp_path / "images" / "b" / "frame_003.png").unlink()
    with pytest.raises(DataError, match=r"images.b: masks, but no image, for frame 'frame_003'"):
        Masks(str(tmp_path)).videos()
    shutil.rmtree(tmp_path / "masks" / "b")
    with pytest.raises(DataError, match="no mask for video 'b'"):
        Masks(str(tmp_path)).videos()


def test_holes_in_the_numbering(tmp_path):
    mask_tree(tmp_path, frames=8)
    for kind in ("images", "masks"):
        (tmp_path / kind / "a" / "frame_003.png").unlink()
    with pytest.raises(DataError, match="frame 003 missing between 0 and 7"):
        Masks(str(tmp_path)).videos()


@pytest.mark.parametrize("kept", [[0, 5, 10, 15, 20], [1, 7, 8, 19], [3]])
def test_every_fifth_frame_and_a_free_choice_are_no_holes(tmp_path, kept):
    mask_tree(tmp_path, (), frames=21)
    for kind in ("images", "masks"):
        for index in set(range(21)) - set(kept):
            (tmp_path / kind / f"frame_{index:03d}.png").unlink()
    video = Masks(str(tmp_path)).videos()[0]
    assert video.probe().length == len(kept)
    np.testing.assert_array_equal(next(video.frames([len(kept) - 1])), picture(kept[-1]))


def test_sizes_must_agree(tmp_path):
    mask_tree(tmp_path, ())
    write(tmp_path / "masks" / "frame_001.png", mask_values(1, (32, 24)))
    video = Masks(str(tmp_path)).videos()[0]
    video.labels(0)
    with pytest.raises(DataError, match=r"frame_001\.png: the mask is 32x24, its frame is 64x48"):
        video.labels(1)
    with pytest.raises(DataError, match="no frame 4"):
        video.labels(4)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8])
def test_truncated_files_are_named(tmp_path, share):
    davis_tree(tmp_path, ("bear",))
    truncate(tmp_path / "JPEGImages" / "480p" / "bear" / "00001.jpg", share)
    truncate(tmp_path / "Annotations" / "480p" / "bear" / "00002.png", share)
    video = Masks(str(tmp_path)).videos()[0]
    with pytest.raises(DataError, match=r"00001\.jpg: is no complete image"):
        list(video.frames([0, 1]))
    with pytest.raises(DataError, match=r"00002\.png: is no complete image"):
        video.labels(2)


def test_exif_orientation_is_applied_and_probed(tmp_path):
    mask_tree(tmp_path, (), frames=1)
    image = Image.fromarray(picture(0))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "images" / "frame_000.png", exif=exif)
    write(tmp_path / "masks" / "frame_000.png", np.rot90(mask_values(0), -1))
    video = Masks(str(tmp_path)).videos()[0]
    assert video.probe().size == Size(64, 48)
    np.testing.assert_array_equal(next(video.frames([0])), np.rot90(picture(0), -1))
    assert video.labels(0).mask.shape == (64, 48)


def test_two_files_for_one_frame(tmp_path):
    mask_tree(tmp_path, ())
    Image.fromarray(picture(0)).save(tmp_path / "images" / "frame_001.bmp")
    with pytest.raises(DataError, match="two images are called 'frame_001'"):
        Masks(str(tmp_path)).videos()


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(DataError, match="is empty"):
        Masks(str(tmp_path))
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="no ground truth: folder masks is missing"):
        Masks(str(tmp_path))
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match="holds no image"):
        Masks(str(tmp_path)).videos()
    with pytest.raises(DataError, match="no such folder"):
        Masks(str(tmp_path / "absent"))


@pytest.mark.real
def test_real_davis(samples: Path) -> None:
    (video,) = Masks(str(samples / "davis")).videos()
    assert video.name == "parkour"
    assert video.probe() == (100, Size(480, 854), None)
    for index in (0, 50, 99):
        file = samples / "davis/Annotations/480p/parkour" / f"{index:05d}.png"
        wanted = np.where(np.array(Image.open(file)) == 255, 1, -1)
        mask = video.labels(index).mask
        np.testing.assert_array_equal(mask, wanted)
        assert 0.002 < (mask == 1).mean() < 0.3
    assert next(video.frames([99])).shape == (480, 854, 3)
