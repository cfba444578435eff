"""Clips that are to be shown turned or mirrored, GIFs, and pictures that hold several."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.helpers.trees import mask_tree, picture
from vidseg.datasets.masks import Masks
from vidseg.errors import DataError
from vidseg.media.clip import ClipFrames
from vidseg.media.display_matrix import orientation
from vidseg.media.image_folder import decode, read_size
from vidseg.types import Size

CORNERS = ((250, 20, 20), (20, 250, 20), (20, 20, 250), (250, 250, 250))
EIGHT = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)]
MIRRORED = [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]


def quarters() -> np.ndarray:
    image = np.zeros((64, 96, 3), np.uint8)
    for at, colour in enumerate(CORNERS):
        image[at // 2 * 32 :, at % 2 * 48 :] = colour
    return image


def clip(file: Path, linear: tuple[float, ...], perspective: int = 0) -> Path:
    """Write a clip with the display matrix a b c d."""
    a, b, c, d = (round(value * 65536) for value in linear)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"qscale": "1"})
        stream.pix_fmt, stream.width, stream.height = "yuv420p", 96, 64
        stream.bit_rate = 4_000_000
        stream.set_display_matrix([a, b, perspective, c, d, 0, 0, 0, 1 << 30])
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(quarters(), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file


def shown(linear: tuple[int, ...]) -> np.ndarray:
    """Return the picture with each pixel moved as the matrix says, one by one."""
    a, b, c, d = linear
    image = quarters()
    wanted = np.zeros_like(image if a else image.transpose(1, 0, 2))
    height, width = wanted.shape[:2]
    for q in range(64):
        for p in range(96):
            x, y = a * (p + 0.5) + c * (q + 0.5), b * (p + 0.5) + d * (q + 0.5)
            wanted[int(y % height), int(x % width)] = image[q, p]
    return wanted


@pytest.mark.parametrize("linear", EIGHT + MIRRORED)
def test_the_whole_display_matrix_is_applied(tmp_path, linear):
    frames = ClipFrames(clip(tmp_path / "a.mp4", linear))
    wanted = shown(linear)
    assert frames.probe().size == Size(*wanted.shape[:2])
    (first,) = frames.frames([0])
    assert np.abs(first.astype(int) - wanted).mean() < 8


def test_a_flip_is_part_of_the_key_and_a_turn_as_before(tmp_path):
    plain = clip(tmp_path / "plain.mp4", (1, 0, 0, 1))
    flipped = ClipFrames(clip(tmp_path / "flipped.mp4", (-1, 0, 0, 1)))
    assert ClipFrames(plain)._is_flipped() is False
    assert flipped._is_flipped() is True
    assert flipped.key == ClipFrames(flipped.file).key


@pytest.mark.parametrize(
    ("linear", "perspective"), [((0.7, 0.7, -0.7, 0.7), 0), ((1, 0.5, 0, 1), 0), ((1, 0, 0, 1), 99)]
)
def test_any_other_matrix_is_refused_with_the_file(tmp_path, linear, perspective):
    file = clip(tmp_path / "odd.mp4", linear, perspective)
    with pytest.raises(DataError, match=r"odd\.mp4: is to be shown by the display matrix"):
        ClipFrames(file).probe()


def test_scale_does_not_matter_and_nothing_asks_for_nothing():
    assert orientation(np.diag([2.0, 3.0, 1.0])) == (False, False, False)
    assert orientation(np.zeros((3, 3))) == (False, False, False)


def several(file: Path) -> Path:
    pictures = [Image.fromarray(picture(index)).quantize(32).convert("RGB") for index in range(4)]
    pictures[0].save(file, save_all=True, append_images=pictures[1:], duration=[40, 400, 40, 40])
    return file


def test_a_gif_is_a_clip(tmp_path):
    file = several(tmp_path / "a.gif")
    frames = ClipFrames(file)
    assert frames.probe()[:2] == (4, Size(48, 64))
    with Image.open(file) as gif:
        for index, frame in enumerate(frames.frames(range(4))):
            gif.seek(index)
            np.testing.assert_array_equal(frame, np.asarray(gif.convert("RGB")))
    file.write_bytes(file.read_bytes()[:-1])
    assert ClipFrames(file).probe().length == 4
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match=r"a\.gif: is cut short by"):
        ClipFrames(file).probe()


@pytest.mark.parametrize("suffix", [".tif", ".webp", ".png"])
def test_a_picture_that_holds_several_is_no_frame(tmp_path, suffix):
    file = several(tmp_path / f"a{suffix}")
    for read in (decode, read_size):
        with pytest.raises(DataError, match=rf"a\{suffix}: holds 4 pictures, one is needed"):
            read(file)
    mask_tree(tmp_path, (), frames=1)
    mask = several(tmp_path / "masks" / f"b{suffix}")
    mask.replace(tmp_path / "masks" / f"frame_000{suffix}")
    if suffix != ".png":
        (tmp_path / "masks" / "frame_000.png").unlink()
    with pytest.raises(DataError, match="holds 4 pictures"):
        Masks(str(tmp_path)).videos()[0].labels(0)


def test_a_camera_jpeg_with_a_preview_is_a_frame(tmp_path):
    first = Image.fromarray(picture(0))
    file = tmp_path / "a.jpg"
    first.save(file, "MPO", save_all=True, append_images=[first.resize((32, 24))])
    assert decode(file).shape == (48, 64, 3)


def test_a_pointer_of_git_lfs_is_named(tmp_path):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (tmp_path / "a.png").write_text(text)
    (tmp_path / "a.mp4").write_text(text)
    with pytest.raises(DataError, match=r"a\.png: is a pointer of Git LFS, no image"):
        decode(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.mp4: is a pointer of Git LFS, no clip.*git lfs pull"):
        ClipFrames(tmp_path / "a.mp4").probe()
