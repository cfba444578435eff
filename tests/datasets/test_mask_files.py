"""Mask files that mean something else than they seem: told with shares, read when told how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.trees import mask_tree, mask_values, picture
from vidseg import plugins
from vidseg.datasets.checks import examine
from vidseg.datasets.masks import Masks
from vidseg.errors import DataError, UsageError
from vidseg.types import Size

INSIDE = mask_values(0) > 0


def tree(root: Path, mask: Image.Image, name: str = "frame_{:03d}.png", frames: int = 2) -> Path:
    """Write a video whose masks are all this picture."""
    mask_tree(root, (), frames=frames)
    for index in range(frames):
        (root / "masks" / f"frame_{index:03d}.png").unlink()
        mask.save(root / "masks" / name.format(index))
    return root


def colours(background: tuple[int, ...], inside: tuple[int, ...]) -> Image.Image:
    values = np.where(INSIDE[..., None], inside, background).astype(np.uint8)
    return Image.fromarray(values)


def grey(background: int, inside: int) -> Image.Image:
    return Image.fromarray(np.where(INSIDE, inside, background).astype(np.uint8))


def palette(first: tuple[int, int, int], second: tuple[int, int, int]) -> Image.Image:
    image = Image.new("P", INSIDE.shape[::-1])
    image.putdata(INSIDE.astype(int).ravel().tolist())
    image.putpalette([*first, *second])
    return image


def read(root: Path, **options) -> np.ndarray:
    """Return where the first mask is foreground."""
    return Masks(str(root), **options).videos()[0].labels(0).mask == 1


def faults(root: Path, **options) -> list[str]:
    result = examine(Masks(str(root), **options))
    return [finding.text for finding in result.findings if finding.wrong]


def test_a_jpeg_mask_is_told_with_shares_and_cut_by_a_threshold(tmp_path):
    root = tree(tmp_path, grey(0, 255), "frame_{:03d}.jpg")
    (note,) = Masks(str(root)).notes()
    assert "grey values (" in note
    assert "others" in note
    assert "%): all but 0 are foreground; 2 of 2 masks in JPEG; threshold=128" in note
    assert any("masks in JPEG" in text for text in faults(root))
    assert (read(root) != INSIDE).any()
    np.testing.assert_array_equal(read(root, threshold=128), INSIDE)
    assert Masks(str(root), threshold=128).notes() == []
    with pytest.raises(UsageError, match="one or the other"):
        Masks(str(root), threshold=128, foreground=(255,))


def test_smoothed_edges_are_told_and_instances_as_well(tmp_path):
    smooth = grey(0, 255).resize((32, 24), Image.Resampling.BICUBIC).resize((64, 48))
    (note,) = Masks(str(tree(tmp_path / "smooth", smooth))).notes()
    assert "smoothed edges?; threshold=128 cuts in the middle" in note
    three = grey(0, 1)
    three.putpixel((0, 0), 2)
    root = tree(tmp_path / "three", three)
    (note,) = Masks(str(root)).notes()
    assert "3 grey values (0 " in note
    assert "2 0.0%" in note
    assert not [text for text in faults(root) if "grey" in text]
    assert Masks(str(root), foreground=(1,)).notes() == []
    assert Masks(str(root), void=(2,)).notes() == []


def test_check_looks_at_every_mask_and_opening_at_a_few(tmp_path):
    root = tree(tmp_path, grey(0, 255), frames=9)
    odd = grey(0, 255)
    odd.putpixel((0, 0), 7)
    odd.save(root / "masks" / "frame_001.png")
    assert Masks(str(root)).notes() == []
    odd.save(root / "masks" / "frame_000.png")
    assert "3 grey values" in Masks(str(root)).notes()[0]
    texts = [finding.text for finding in examine(Masks(str(root))).findings]
    (text,) = (text for text in texts if "grey values" in text)
    shares = ", ".join(f"{value} {share:.1%}" for value, share in ((0, 1 - INSIDE.mean()),))
    assert text.startswith(f"3 grey values ({shares}, 7 0.0%, 255 ")


def test_a_palette_whose_first_colour_is_not_black(tmp_path):
    root = tree(tmp_path / "swapped", palette((255, 255, 255), (0, 0, 0)))
    (text,) = (text for text in faults(root) if "palette" in text)
    assert text.startswith("palette index 0 is #ffffff (")
    assert "index 1 is black (" in text
    np.testing.assert_array_equal(read(root), INSIDE)
    np.testing.assert_array_equal(read(root, foreground=(0,)), ~INSIDE)
    blue = tree(tmp_path / "blue", palette((0, 0, 255), (255, 0, 0)))
    assert not [text for text in faults(blue) if "palette" in text]
    (note,) = Masks(str(blue)).notes()
    assert "palette index 0 is #0000ff" in note
    assert Masks(str(tree(tmp_path / "usual", palette((0, 0, 0), (255, 0, 0))))).notes() == []


def test_the_mask_in_the_alpha_channel(tmp_path):
    image = colours((255, 255, 255), (255, 255, 255)).convert("RGBA")
    image.putalpha(grey(0, 255))
    root = tree(tmp_path, image)
    notes = Masks(str(root)).notes()
    assert any("alpha varies in 2 of 2 masks and is not read" in note for note in notes)
    assert any("the 2 masks looked at are all foreground" in text for text in faults(root))
    np.testing.assert_array_equal(read(root, alpha=True), INSIDE)
    assert Masks(str(root), alpha=True).notes() == []
    with pytest.raises(DataError, match="has no alpha channel"):
        read(tree(tmp_path / "none", grey(0, 255)), alpha=True)


def test_everything_foreground_is_a_fault_with_the_values(tmp_path):
    root = tree(tmp_path, grey(1, 2))
    (text,) = faults(root)
    assert text.startswith("the 2 masks looked at are all foreground (values 1 ")
    assert text.endswith("foreground= names those that are")
    np.testing.assert_array_equal(read(root, foreground=(2,)), INSIDE)
    assert faults(root, foreground=(2,)) == []


def test_colours_by_option(tmp_path):
    root = tree(tmp_path, colours((0, 0, 0), (250, 50, 83)))
    with pytest.raises(DataError, match=r'colours #000000 .*%, #fa3253 .*foreground="#fa3253"'):
        read(root)
    for spec in ('foreground="#fa3253"', "foreground=#FA3253", "foreground=#fa3253,void=#00ff00"):
        made = plugins.create("dataset", f"masks:{root},{spec}")
        np.testing.assert_array_equal(made.videos()[0].labels(0).mask == 1, INSIDE)
    assert (Masks(str(root), foreground=("#000000",), void=("#fa3253",)).videos()) is not None
    void = Masks(str(root), foreground=("#000000",), void=("#fa3253",)).videos()[0].labels(0).mask
    np.testing.assert_array_equal(void, np.where(INSIDE, 0, 1))
    indexed = tree(tmp_path / "indexed", palette((0, 0, 0), (250, 50, 83)))
    np.testing.assert_array_equal(read(indexed, foreground=("#fa3253",)), INSIDE)
    with pytest.raises(UsageError, match="both colours or both values"):
        Masks(str(root), foreground=("#fa3253", 1))
    keys = {
        Masks(str(root), foreground=(one,)).videos()[0].label_key for one in ("#fa3253", "#000000")
    }
    assert len(keys) == 2


LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nperson:250,50,83::\ncar:0,9,9::\n"


def test_colours_by_cvats_label_map(tmp_path):
    root = tree(tmp_path, colours((0, 9, 9), (250, 50, 83)))
    (root / "labelmap.txt").write_text(LABELMAP)
    np.testing.assert_array_equal(read(root, classes=("person",)), INSIDE)
    np.testing.assert_array_equal(read(root), np.ones_like(INSIDE))
    assert Masks(str(root)).notes()[0] == "foreground in colours is person, car (labelmap.txt)"
    with pytest.raises(DataError, match=r"labelmap\.txt: no label is called 'persn'; did you mean"):
        Masks(str(root), classes=("persn",))
    Image.new("RGB", (64, 48), (1, 2, 3)).save(root / "masks" / "frame_001.png")
    with pytest.raises(DataError, match=r"colour #010203 is not in labelmap\.txt \(100\.0%"):
        Masks(str(root)).videos()[0].labels(1)
    (root / "labelmap.txt").write_text("person:red\n")
    with pytest.raises(DataError, match=r"labelmap\.txt:1: not name:r,g,b"):
        Masks(str(root))
    (root / "labelmap.txt").unlink()
    with pytest.raises(UsageError, match="which is not there"):
        Masks(str(root), classes=("person",))


def test_cvats_folders_are_found(tmp_path):
    root = tree(tmp_path, colours((0, 0, 0), (250, 50, 83)))
    (root / "labelmap.txt").write_text(LABELMAP)
    (root / "images").rename(root / "JPEGImages")
    (root / "masks").rename(root / "SegmentationClass")
    np.testing.assert_array_equal(read(root), INSIDE)


def test_grey_masks_beside_a_label_map_are_read_by_value(tmp_path):
    root = tree(tmp_path, grey(0, 1))
    (root / "labelmap.txt").write_text(LABELMAP)
    np.testing.assert_array_equal(read(root), INSIDE)


@pytest.mark.parametrize("name", ["frame_{:03d}_mask.png", "{}.png", "mask{:05d}.png"])
def test_names_that_differ_are_paired_by_number(tmp_path, name):
    root = tree(tmp_path, grey(0, 255), name, frames=12)
    Image.new("L", (64, 48)).save(root / "masks" / name.format(11))
    data = Masks(str(root))
    (video,) = data.videos()
    assert (video.labels(11).mask == -1).all()
    assert (video.labels(10).mask == 1).any()
    assert data.notes()[0].endswith(
        f"paired by the number in their names: {name.format(0)} is the mask of frame_000.png"
    )
    (root / "masks" / name.format(5)).unlink()
    assert list(Masks(str(root)).videos()[0].labelled()) == [*range(5), *range(6, 12)]


def test_names_that_cannot_be_paired_are_shown(tmp_path):
    name = "m{}0.png"
    root = tree(tmp_path, grey(0, 255), name, frames=3)
    shown = f"masks are called like {name.format(0)}, frames like frame_000.png"
    with pytest.raises(DataError, match=shown):
        Masks(str(root)).videos()


def test_orientation_is_applied_to_masks_too(tmp_path):
    mask_tree(tmp_path, (), frames=1)
    for file, image in (
        (tmp_path / "images" / "frame_000.png", Image.fromarray(picture(0))),
        (tmp_path / "masks" / "frame_000.png", grey(0, 255)),
    ):
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(file, exif=exif)
    (video,) = Masks(str(tmp_path)).videos()
    assert video.probe().size == Size(64, 48)
    np.testing.assert_array_equal(video.labels(0).mask == 1, np.rot90(INSIDE, -1))
    grey(0, 255).save(tmp_path / "masks" / "frame_000.png")
    with pytest.raises(DataError, match="one of the two has an EXIF orientation"):
        video.labels(0)


def test_what_was_found_is_kept_by_content(tmp_path):
    class Facts(dict):
        put = dict.__setitem__

    facts = Facts()
    for _ in range(2):
        data = Masks(str(tmp_path if (tmp_path / "masks").exists() else tree(tmp_path, grey(1, 2))))
        (video,) = data.videos()
        video.remember(facts)
        assert "all foreground" in video.label_notes()[0]
    ((key, held),) = facts.items()
    facts[key] = [[False, "kept"]]
    (video,) = Masks(str(tmp_path)).videos()
    video.remember(facts)
    assert video.label_notes() == ("kept",)
    assert held[0][0] is True
