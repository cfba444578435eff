"""Which picture a row belongs to, however pictures are named; and that nothing shifts labels."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.helpers.trees import mot_sequence
from vidseg import plugins
from vidseg.datasets.mot import Mot
from vidseg.errors import DataError
from vidseg.media.image_folder import check_numbering, numbers_of


def sequence(root: Path, names: Sequence[object], rows: Sequence[int], **options) -> Path:
    """Write a sequence whose pictures have these names, with a box at x = n in row frame n."""
    folder = mot_sequence(root, "s", frames=len(names), suffix=".png", **options)
    lines = [f"{n},1,{1 + n % 40},1,5,9,1,1,1\n" for n in rows]
    (folder / "gt" / "gt.txt").write_text("".join(lines))
    for index in range(len(names), 0, -1):
        name = names[index - 1]
        stem = name if isinstance(name, str) else f"{name:06d}"
        (folder / "img1" / f"{index:06d}.png").rename(folder / "img1" / f"x{stem}.png")
    for file in (folder / "img1").iterdir():
        file.rename(file.with_name(file.name[1:]))
    return folder


def matched(folder: Path, **options) -> tuple[dict[int, int], list[str]]:
    """Return {0-based frame: the row's frame modulo 40} and the notes."""
    data = Mot(str(folder), **options)
    (video,) = data.videos()
    labels = ((index, video.labels(index)) for index in range(video.probe().length))
    found = {index: int(one.boxes[0, 0]) - 1 for index, one in labels if len(one.boxes)}
    return found, [note.removeprefix("s: ") for note in data.notes()]


def test_mots_own_numbers_need_no_note(tmp_path):
    assert matched(sequence(tmp_path, range(1, 6), [1, 3, 5])) == ({0: 1, 2: 3, 4: 5}, [])


@pytest.mark.parametrize(
    ("names", "rows", "wanted"),
    [
        (range(5), [0, 2, 4], {0: 0, 2: 2, 4: 4}),
        (range(101, 106), [101, 104], {0: 21, 3: 24}),
        (range(0, 50, 5), [5, 45], {1: 5, 9: 5}),
        (range(1, 52, 5), [6, 26], {1: 6, 5: 26}),
        ([20240101120000, 20240101120007, 20240101120031], [20240101120007], {1: 7}),
        ([f"frame_{n:03d}_left" for n in (7, 8, 9)], [8], {1: 8}),
    ],
)
def test_rows_belong_to_the_picture_of_their_number(tmp_path, names, rows, wanted):
    found, (note,) = matched(sequence(tmp_path, names, rows))
    assert found == wanted
    assert note.endswith("rows are matched with the numbers in their names")


@pytest.mark.parametrize(
    ("names", "rows", "first", "wanted"),
    [
        (range(5), [1, 5], 1, {0: 1, 4: 5}),
        (range(1, 6), [0, 4], 0, {0: 0, 4: 4}),
        (range(101, 106), [1, 5], 1, {0: 1, 4: 5}),
        (range(101, 106), [0, 4], 0, {0: 0, 4: 4}),
        (range(0, 50, 5), [1, 2, 10], 1, {0: 1, 1: 2, 9: 10}),
        ([20240101120000, 20240101120001, 20240101120101], [1, 3], 1, {0: 1, 2: 3}),
        (["12-00-59", "12-01-00", "12-01-01"], [1, 3], 1, {0: 1, 2: 3}),
    ],
)
def test_rows_that_fit_in_order_only_are_matched_in_order(tmp_path, names, rows, first, wanted):
    found, notes = matched(sequence(tmp_path, names, rows))
    assert found == wanted
    assert [f"count pictures from {first} and are matched in order" in n for n in notes] in (
        [True],
        [],
    )


@pytest.mark.parametrize(
    ("names", "rows", "message"),
    [
        (range(1, 52, 5), [1, 2, 6, 26], "frame 000002 missing: rows have it"),
        (range(5, 105, 5), [1, 5, 10, 15], "frame 000001 missing"),
        ([2, 4, 5], [1, 2, 3, 4, 5], "frame 000001 and 1 more missing"),
        (range(1, 6), [0, 5], "frame 000000 missing"),
        (range(101, 106), [103, 106], "frame 000106 not there"),
        (range(101, 106), [6, 103], "frame 000006 missing"),
        (range(5), [0, 5], "frame 000005 not there"),
        (range(5), range(1, 61), "frame 000005 and 55 more not there"),
    ],
)
def test_what_fits_neither_is_refused_by_file_and_line(tmp_path, names, rows, message):
    folder = sequence(tmp_path, names, rows, seqinfo=False)
    with pytest.raises(DataError, match=message) as caught:
        Mot(str(folder)).videos()
    text = str(caught.value)
    assert f"{folder / 'gt' / 'gt.txt'}:" in text
    assert "renumber" not in text
    assert "delete" not in text


def test_no_advice_leads_to_shifted_labels(tmp_path):
    """Pictures 1, 6, ..., 46 of 50, rows at 6 and 26: once told to renumber, then to delete."""
    folder = sequence(tmp_path, range(1, 51, 5), [6, 26], seq_length=50)
    assert matched(folder)[0] == {1: 6, 5: 26}
    with pytest.raises(DataError, match=r"gt\.txt:2: label for frame 26, but only 10 frames exist"):
        matched(folder, match="position")


def test_what_is_meant_can_be_said(tmp_path):
    every_fifth = sequence(tmp_path, range(1, 51, 5), range(1, 51))
    with pytest.raises(DataError, match="match=number"):
        matched(every_fifth)
    found, notes = matched(every_fifth, match="number")
    assert found == {index: (1 + 5 * index) % 40 for index in range(10)}
    assert "40 rows for 40 absent frames are dropped" in notes
    (tmp_path / "both").mkdir()
    either = sequence(tmp_path / "both", range(5), [1, 2])
    assert matched(either)[0] == {1: 1, 2: 2}
    assert matched(either, match="position")[0] == {0: 1, 1: 2}
    (tmp_path / "named").mkdir()
    named = sequence(tmp_path / "named", ["a", "b"], [1, 2])
    assert matched(named) == ({0: 1, 1: 2}, [])
    with pytest.raises(DataError, match=r"such as a\.png, are no numbers in order"):
        matched(named, match="number")


def test_a_cut_down_copy_keeps_its_whole_annotation(tmp_path):
    folder = sequence(tmp_path, range(5), range(60), seq_length=60)
    found, notes = matched(folder)
    assert found == {n: n for n in range(5)}
    assert "55 rows for 55 absent frames are dropped" in notes


def test_times_in_names_cost_no_memory(tmp_path):
    names = [Path(f"{20240101000000 + 10_000_000 * day}.png") for day in range(9)]
    numbered = [Path(f"{number}.png") for number in (1, 2, 3, 90_000_000)]
    tracemalloc.start()
    try:
        check_numbering(names)
        with pytest.raises(DataError, match="frame 4 and 89999995 more missing"):
            check_numbering(numbered)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    folder = sequence(tmp_path, [1, 2, 20240101120000], [1, 2, 20240101120000])
    assert matched(folder)[0] == {0: 1, 1: 2, 2: 20240101120000 % 40}


def test_numbers_of_names():
    for stems, wanted in (
        (["f1", "f2", "f10"], [1, 2, 10]),
        (["1_mask", "2_mask", "10_mask"], [1, 2, 10]),
        (["a_0009_v2", "a_0010_v2"], [9, 10]),
        (["b", "c"], None),
        (["a2", "b1"], None),
        (["9" * 30], None),
    ):
        assert numbers_of([Path(f"{stem}.png") for stem in stems]) == wanted
    with pytest.raises(DataError, match="frame f1 exists twice"):
        check_numbering([Path("f1.png"), Path("f01.png")])


def test_labels_follow_the_numbers_of_a_videos_pictures(tmp_path):
    folder = sequence(tmp_path, range(101, 106), [101, 105])
    (video,) = Mot(str(folder)).videos()
    (tmp_path / "s.txt").write_text("103,1,7,1,5,9,1,1,1\n")
    labels = plugins.create("label", f"mot:{tmp_path}").of(video)
    assert [len(labels.labels(index).boxes) for index in range(5)] == [0, 0, 1, 0, 0]
