"""What the columns of box files mean: activity, classes and their names, VisDrone and MOT15."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.trees import mask_tree, mot_rows, mot_sequence
from vidseg import plugins
from vidseg.datasets.checks import SHOWN, Examined, examine
from vidseg.datasets.mot import Mot
from vidseg.datasets.mot_rows import read_rows
from vidseg.errors import BadRowsError, DataError


def sequence(root: Path, *tails: Sequence[float], names: str = "") -> Path:
    """Write a sequence with one row a frame that ends in each of ``tails``; track i in row i."""
    rows = [(1 + i, 1 + i, 1, 1, 9, 9, *tail) for i, tail in enumerate(tails)]
    folder = mot_sequence(root, "s", frames=max(2, len(rows)), rows=rows)
    if names:
        (folder / "gt" / "labels.txt").write_text(names)
    return folder


def opened(folder: Path, **options) -> tuple[list[int], list[int], list[str]]:
    """Return the tracks that are foreground, those that are ignored, and the notes."""
    data = Mot(str(folder), **options)
    (video,) = data.videos()
    labels = [video.labels(index) for index in range(video.probe().length)]
    found = [
        sorted(int(i) for one in labels for i in one.ids[one.ignored == ignored])
        for ignored in (False, True)
    ]
    return found[0], found[1], [note.removeprefix("s: ") for note in data.notes()]


def look(folder: Path, **options) -> Examined:
    return examine(Mot(str(folder), **options))


def test_any_activity_but_zero_counts_and_is_told(tmp_path):
    folder = sequence(tmp_path, (-1, 1, 1), (0, 1, 1), (0.93, 1, 1), (1, 1, 1))
    found, _, (note,) = opened(folder)
    assert found == [1, 3, 4]
    assert note == "2 of 4 rows have -1, 0.93 in column 7: they count, only 0 is left out"
    old = sequence(tmp_path / "old", (0.5, -1, -1, -1), (0, -1, -1, -1), (2, -1, -1, -1))
    found, ignored, (note,) = opened(old)
    assert (found, ignored) == ([1, 3], [2])
    assert note == "2 of 3 rows have 0.5, 2 in column 7: they count, only 0 is ignored"


@pytest.mark.parametrize(("classes", "wanted"), [((0,), [1]), ((-1, 7), [2, 3]), ((300,), [4])])
def test_classes_are_any_integers(tmp_path, classes, wanted):
    folder = sequence(tmp_path, (1, 0, 1), (1, -1, 1), (1, 7, 1), (1, 300, 1))
    assert opened(folder, classes=classes)[0] == wanted


def test_no_foreground_says_which_classes_there_are(tmp_path):
    folder = sequence(tmp_path, (1, 0, 1), (1, 0, 1), (1, 3, 1))
    found, _, (note,) = opened(folder)
    assert found == []
    assert note == (
        "no box is foreground: class 0 has 2 rows, class 3 has 1 row; choose one, such as classes=0"
    )


def test_classes_by_the_names_in_labels_txt(tmp_path):
    folder = sequence(tmp_path, (1, 1, 1), (1, 2, 1), (1, 3, 1), names="car\nPerson\nBus stop\n")
    assert opened(folder, classes=("person",))[0] == [2]
    assert opened(folder, classes=("bus_stop", "Car"))[0] == [1, 3]
    assert opened(folder, classes=("person",), ignore_classes=("car",))[:2] == ([2], [1])
    found, _, (note,) = opened(folder)
    assert found == [1]
    assert note == "foreground is class 1 (car); classes= chooses others: Person, Bus stop"
    with pytest.raises(DataError, match=r"no class is called 'persons'; did you mean 'person'"):
        opened(folder, classes=("persons",))
    made = plugins.create("dataset", f"mot:{folder},classes=person,classes=1")
    assert len(made.videos()[0].labels(0).boxes) == 1


def test_names_that_do_not_cover_the_classes_are_not_used(tmp_path):
    folder = sequence(tmp_path, (1, 0, 1), (1, 1, 1), names="person\ncar\n")
    with pytest.raises(DataError, match=r"classes 1 to 2, but rows have class 0"):
        opened(folder, classes=("car",))
    assert opened(folder, classes=(0,))[0] == [1]


def test_motchallenges_names_without_a_list(tmp_path):
    folder = sequence(tmp_path, (1, 1, 1), (1, 3, 1))
    assert opened(folder, classes=("pedestrian",))[0] == opened(folder, classes=("person",))[0]
    assert opened(folder, classes=("car",))[0] == [2]


VISDRONE = ((1, 1, 0, 0), (0, 0, 0, 0), (1, 4, 1, 2), (0, 1, 0, 1), (1, 2, 0, 0))


def test_visdrones_columns_are_told_from_mot15s(tmp_path):
    folder = sequence(tmp_path, *VISDRONE)
    found, ignored, notes = opened(folder)
    assert (found, ignored) == ([1], [2, 4])
    assert notes[0] == "the columns are VisDrone's: score 0 and category 0 are ignored"
    assert notes[1].startswith("foreground is class 1 (pedestrian); classes= chooses others")
    assert opened(folder, classes=("pedestrian", "people", "car"))[0] == [1, 3, 5]
    labels = Mot(str(folder)).videos()[0].labels(0)
    assert labels.origin == 0
    for tails in (
        [(1, -1, -1, -1)] * 2,
        [(1, -2.2578, -5.7766, 0), (1, 3.5, 1, 0)],
        [(1, 14, 5, 0), (1, 15, 6, 0)],
    ):
        old = sequence(tmp_path / str(tails[0][1]), *tails)
        assert opened(old) == ([1, 2], [], [])
        assert Mot(str(old)).videos()[0].labels(0).origin == 1


@pytest.mark.parametrize("tail", [(1, 0, 0, 0), (1, 1, 1, 1), (1, 1, 0.5, -1), (1, 2, 1, 7)])
def test_columns_that_may_be_either_are_refused_until_told(tmp_path, tail):
    folder = sequence(tmp_path, tail, tail)
    with pytest.raises(DataError, match=r"gt\.txt: 10 columns that may be.*format=mot15") as caught:
        opened(folder)
    assert "format=visdrone or format=mot16" in str(caught.value)
    assert opened(folder, format="mot15")[0] == [1, 2]
    one, two = (Mot(str(folder), format=kind) for kind in ("mot16", "visdrone"))
    assert [read_rows(folder / "gt/gt.txt", "visdrone").kind] == ["visdrone"]
    assert one.videos()[0].label_key != two.videos()[0].label_key


def test_a_comma_at_the_end_is_harmless(tmp_path):
    file = sequence(tmp_path, *VISDRONE) / "gt" / "gt.txt"
    plain = read_rows(file)
    file.write_text(file.read_text().replace("\n", ",\n"))
    np.testing.assert_array_equal(read_rows(file).rows, plain.rows)


def test_check_lists_every_bad_row_and_counts_them(tmp_path):
    file = mot_sequence(tmp_path, "s", frames=40) / "gt" / "gt.txt"
    lines = file.read_text().splitlines()
    for at in (3, 5, 7):
        lines[at] = lines[at].replace(",1,", ",x,", 1)
    lines[8] = "9,1,1,1,-5,9,1,1,1"
    lines[9] = "10,1,1,1"
    file.write_text("\n".join(lines))
    faults = [finding.text for finding in look(tmp_path).findings if finding.wrong]
    assert [text.split(": ")[0].rpartition(":")[2] for text in faults] == ["4", "6", "8", "9", "10"]
    with pytest.raises(BadRowsError, match=r"gt\.txt:4: .*and 4 more faults in this") as error:
        Mot(str(tmp_path)).videos()
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)  # noqa: S301
    file.write_text("\n".join(["x", *lines] * 3))
    many = [finding for finding in look(tmp_path).findings if finding.wrong]
    assert [finding.times for finding in many] == [1] * SHOWN + [18 - SHOWN]


def test_pictures_of_another_size_than_announced_are_a_fault(tmp_path):
    folder = mot_sequence(tmp_path, "s")
    file = folder / "seqinfo.ini"
    file.write_text(file.read_text().replace("imWidth=64", "imWidth=1920"))
    (video,) = Mot(str(folder)).videos()
    with pytest.raises(DataError, match=r"seqinfo\.ini: imWidth and imHeight say 1920x48, the pic"):
        video.probe()
    assert any("1920x48" in finding.text for finding in look(tmp_path).findings if finding.wrong)


def test_a_data_set_without_any_foreground_is_a_fault(tmp_path):
    folder = sequence(tmp_path, (0, 1, 1), (1, 3, 1))
    texts = [finding.text for finding in look(folder).findings if finding.wrong]
    assert texts == ["no video shows any foreground: nothing can be trained or scored"]
    mot_sequence(tmp_path, "t", seed=1)
    assert not [finding for finding in look(tmp_path).findings if finding.wrong]
    empty = mask_tree(tmp_path / "masks", value=0)
    texts = [f.text for f in examine(plugins.create("dataset", f"masks:{empty}")).findings]
    assert "no video shows any foreground: nothing can be trained or scored" in texts


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    folder = mot_sequence(tmp_path, "s", truth=False)
    (folder / "gt" / "gt.txt").mkdir(parents=True)
    with pytest.raises(DataError, match=r"gt\.txt: no ground truth"):
        Mot(str(tmp_path)).videos()
    with pytest.raises(DataError, match=r"gt\.txt: cannot be read"):
        read_rows(folder / "gt" / "gt.txt")


def test_a_pointer_of_git_lfs_and_names_with_escapes(tmp_path):
    folder = sequence(tmp_path, (1, 1, 1), names="\x1b[31mred\n")
    assert opened(folder)[2] == [r"foreground is class 1 (\x1b[31mred)"]
    (folder / "gt" / "gt.txt").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match=r"gt\.txt: is a pointer of Git LFS, no rows"):
        opened(folder)


def test_rows_of_a_clip_may_count_from_zero(tmp_path):
    rows = [(0, *mot_rows(1)[0][1:]), (4, *mot_rows(1)[0][1:])]
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "a.txt").write_text(text)
    data = plugins.create("dataset", f"clip:{tmp_path}")
    assert data.notes() == ["a: rows count frames from 0"]


def test_classes_are_counted_as_what_they_are_read(tmp_path):
    folder = sequence(
        tmp_path, (1, 1, 1), (0, 1, 1), (1, 2, 1), (1, 2, 1), (1, 9, 1), names="car\nperson\n"
    )
    found = Mot(str(folder), classes=(2,), ignore_classes=(9,)).classes()
    assert [tuple(one) for one in found] == [
        ("car", 1, 2, 2, "background"),
        ("person", 2, 2, 2, "foreground"),
        ("9", 9, 1, 1, "ignored"),
    ]
    old = sequence(tmp_path / "old", (1, -1, -1, -1), (0, -1, -1, -1))
    assert [(one.name, one.use, one.boxes) for one in Mot(str(old)).classes()] == [
        ("person", "foreground", 1),
        ("person", "ignored", 1),
    ]


def test_visdrones_folders(tmp_path):
    for seed, name in enumerate(("uav0000013_00000_v", "uav0000072_00001_v")):
        folder = mot_sequence(tmp_path / "flat", name, seed=seed, truth=False, seqinfo=False)
        (tmp_path / "sequences").mkdir(exist_ok=True)
        (folder / "img1").rename(tmp_path / "sequences" / name)
        (tmp_path / "annotations").mkdir(exist_ok=True)
        rows = [f"{frame},1,0,{frame},9,9,1,{frame % 2 + 1},0,0\n" for frame in range(1, 6)]
        (tmp_path / "annotations" / f"{name}.txt").write_text("".join(rows))
    first, second = Mot(str(tmp_path), classes=("pedestrian", "people")).videos()
    assert (first.name, second.name) == ("uav0000013_00000_v", "uav0000072_00001_v")
    np.testing.assert_array_equal(second.labels(2).boxes, [[0, 3, 9, 9]])
    assert second.probe().length == 5
    (tmp_path / "annotations" / f"{second.name}.txt").unlink()
    with pytest.raises(DataError, match=r"uav0000072_00001_v\.txt: no ground truth"):
        Mot(str(tmp_path)).videos()
