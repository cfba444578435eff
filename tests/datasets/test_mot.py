"""The MOT reader: every layout, every trap, and the real files against a table made by hand."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.trees import box, mot_rows, mot_sequence, picture, truncate
from vidseg import plugins
from vidseg.datasets.mot import Mot
from vidseg.errors import DataError, UsageError, VidsegError
from vidseg.tasks.segmentation.rasterise import rasterise
from vidseg.types import Labels, Size


def only(path) -> object:
    (video,) = Mot(str(path)).videos()
    return video


def test_one_sequence_or_a_folder_or_a_folder_with_train(tmp_path):
    for name in ("MOT16-10", "MOT16-2"):
        mot_sequence(tmp_path / "MOT16" / "train", name)
    (tmp_path / "MOT16" / "test" / "MOT16-01" / "img1").mkdir(parents=True)
    (tmp_path / "MOT16" / "train" / "notes").mkdir()
    for path in (tmp_path / "MOT16", tmp_path / "MOT16" / "train"):
        assert [v.name for v in Mot(str(path)).videos()] == ["MOT16-2", "MOT16-10"]
    assert only(tmp_path / "MOT16" / "train" / "MOT16-2").name == "MOT16-2"
    assert Mot(str(tmp_path / "MOT16")).name == "MOT16"


def test_frames_and_boxes_of_nine_columns(tmp_path):
    rows = [
        (2, 7, 11, 21, 5, 9, 1, 1, 0.5),
        (1, 7, 10, 20, 5, 9, 1, 1, 1),
        (1, 8, 1, 2, 3, 4, 0, 1, 1),
        (1, 9, 1, 2, 3, 4, 1, 8, 1),
        (2, 9, 1, 2, 3, 4, 1, 7, 1),
    ]
    folder = mot_sequence(tmp_path, "MOT17-02-DPM", frames=3, rows=rows, suffix=".png")
    video = only(folder)
    assert video.probe() == (3, Size(48, 64), 25.0)
    labels = video.labels(0)
    assert isinstance(labels, Labels)
    assert labels.origin == 1
    np.testing.assert_array_equal(labels.boxes, [[10, 20, 5, 9]])
    np.testing.assert_array_equal(labels.ids, [7])
    assert not labels.ignored.any()
    np.testing.assert_array_equal(video.labels(1).boxes, [[11, 21, 5, 9]])
    assert len(video.labels(2).boxes) == 0
    both = Mot(str(folder), classes=(1, 7)).videos()[0]
    np.testing.assert_array_equal(both.labels(1).ids, [7, 9])
    for index, frame in zip((0, 2), video.frames([0, 2]), strict=True):
        np.testing.assert_array_equal(frame, picture(index))


def test_ten_columns_are_all_persons_and_conf_zero_is_ignored(tmp_path):
    rows = [(1, 1, 1, 1, 8, 8, 1, -1, -1, -1), (1, 2, 5, 1, 8, 8, 0, -1, -1, -1)]
    labels = only(mot_sequence(tmp_path, "TUD", rows=rows, version="mot15")).labels(0)
    np.testing.assert_array_equal(labels.ignored, [False, True])
    mask = rasterise(labels, Size(48, 64))
    assert (mask[:8, :8] == 1).all()
    assert (mask[:8, 8:12] == 0).all()
    assert (mask == 1).sum() == 64
    assert (mask == 0).sum() == 32


def test_the_default_rows_cover_the_drawn_box(tmp_path):
    video = only(mot_sequence(tmp_path, "MOT16-02", size=(64, 48)))
    left, top, width, height = box(2)
    mask = rasterise(video.labels(2), Size(48, 64))
    assert (mask[top : top + height, left : left + width] == 1).all()
    assert (mask == 1).sum() == width * height


def test_keys_follow_content_not_paths_and_labels_not_images(tmp_path):
    first = mot_sequence(tmp_path, "A")
    shutil.copytree(first, tmp_path / "B")
    rows = mot_rows(5)
    rows[3] = (*rows[3][:2], rows[3][2] + 1, *rows[3][3:])
    mot_sequence(tmp_path, "C", rows=rows)
    mot_sequence(tmp_path, "D", seed=1)
    a, b, c, d = (only(tmp_path / name) for name in "ABCD")
    assert (a.image_key, a.label_key) == (b.image_key, b.label_key)
    assert a.image_key == c.image_key
    assert a.label_key != c.label_key
    assert a.image_key != d.image_key
    assert a.label_key == d.label_key
    assert len(a.frame_hashes) == len(set(a.frame_hashes)) == 5


def test_detector_names_share_a_group(tmp_path):
    for name in ("MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-02-SDP", "MOT17-04-DPM"):
        mot_sequence(tmp_path, name)
    groups = [v.group for v in Mot(str(tmp_path)).videos()]
    assert groups == ["MOT17-02"] * 3 + ["MOT17-04"]


def test_works_without_seqinfo_and_with_another_image_folder(tmp_path):
    assert only(mot_sequence(tmp_path, "bare", seqinfo=False)).probe() == (5, Size(48, 64), None)
    folder = mot_sequence(tmp_path, "moved", suffix=".png")
    (folder / "img1").rename(folder / "frames")
    text = (folder / "seqinfo.ini").read_text().replace("imDir=img1", "imDir=frames")
    (folder / "seqinfo.ini").write_text(text)
    assert only(folder).probe().length == 5


@pytest.mark.parametrize("announced", [3, 600])
def test_seq_length_that_lies_is_a_note(tmp_path, announced):
    data = Mot(str(mot_sequence(tmp_path, "MOT17-02", seq_length=announced)))
    assert data.videos()[0].probe().length == 5
    assert data.notes() == [f"MOT17-02: seqLength says {announced}, 5 frames exist and are used"]


def test_labels_beyond_the_frames_are_dropped_only_where_announced(tmp_path):
    rows = mot_rows(9)
    data = Mot(str(mot_sequence(tmp_path, "cut", frames=5, rows=rows, seq_length=600)))
    assert "cut: 4 rows for 4 absent frames are dropped" in data.notes()
    mot_sequence(tmp_path, "wrong", frames=5, rows=rows)
    with pytest.raises(DataError, match=r"gt\.txt:6: label for frame 6, but only 5 frames exist"):
        only(tmp_path / "wrong")
    mot_sequence(tmp_path, "bare", frames=5, rows=rows, seqinfo=False)
    with pytest.raises(DataError, match=r"gt\.txt:6: label for frame 6"):
        only(tmp_path / "bare")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2,3", "3 columns"),
        ("1,1,10,10,5,5,1,-1,-1,-1", "10 columns, the other rows have 9"),
        ("1,1,ten,10,5,5,1,1,1", "not a row of numbers with commas"),
        ("1,1,nan,10,5,5,1,1,1", "not finite"),
        ("1,1,10,10,inf,5,1,1,1", "not finite"),
        ("1,1,10,10,0,5,1,1,1", "width and height"),
        ("1,1,10,10,5,-5,1,1,1", "width and height"),
        ("1,1,10,10,5,5,1,1.5,1", "class must be a whole number"),
        ("-4,1,10,10,5,5,1,1,1", "frame is negative"),
        ("1.5,1,10,10,5,5,1,1,1", "whole numbers"),
        ("\x00\x01garbage", "not a row of numbers with commas"),
    ],
)
def test_a_malformed_row_is_named_by_file_and_line(tmp_path, line, message):
    file = mot_sequence(tmp_path, "MOT16-02") / "gt" / "gt.txt"
    lines = ["", *file.read_text().splitlines()]
    lines.insert(3, line)
    file.write_text("\n".join(lines))
    with pytest.raises(DataError, match=message) as caught:
        only(tmp_path)
    assert f"{file}:4: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_windows_line_ends_blanks_and_spaces_are_harmless(tmp_path):
    plain = only(mot_sequence(tmp_path, "A"))
    file = mot_sequence(tmp_path, "B") / "gt" / "gt.txt"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b" \r\n\r\n"))
    assert only(tmp_path / "B").label_key == plain.label_key


def test_missing_and_broken_frames(tmp_path):
    folder = mot_sequence(tmp_path, "MOT16-02")
    truncate(folder / "img1" / "000003.jpg")
    with pytest.raises(DataError, match=r"000003\.jpg: is no complete image"):
        list(only(folder).frames([0, 1, 2]))
    Image.fromarray(picture(0, (32, 48))).save(folder / "img1" / "000003.jpg")
    with pytest.raises(DataError, match=r"000003\.jpg: is 32x48, the first frame is 64x48"):
        list(only(folder).frames([2]))
    (folder / "img1" / "000003.jpg").unlink()
    with pytest.raises(DataError, match="frame 000003 missing"):
        only(folder)
    (folder / "img1" / "000001.jpg").unlink()
    with pytest.raises(DataError, match="frame 000001 and 1 more missing"):
        only(folder)


def test_a_vanished_frame_is_named(tmp_path):
    folder = mot_sequence(tmp_path, "MOT16-02")
    video = only(folder)
    (folder / "img1" / "000005.jpg").unlink()
    with pytest.raises(DataError, match=r"000005\.jpg: no such file"):
        list(video.frames([4]))
    with pytest.raises(DataError, match=r"000005\.jpg: cannot be read"):
        _ = video.image_key
    for bad in (5, -1):
        with pytest.raises(DataError, match=f"no frame {bad}"):
            list(video.frames([bad]))
        with pytest.raises(DataError, match=f"no frame {bad}"):
            video.labels(bad)


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(DataError, match="is empty"):
        Mot(str(tmp_path))
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(DataError, match="holds no MOT sequence"):
        Mot(str(tmp_path))
    with pytest.raises(DataError, match="a file, not a folder"):
        Mot(str(tmp_path / "readme.txt"))
    with pytest.raises(UsageError, match="empty"):
        Mot("")
    folder = mot_sequence(tmp_path, "MOT16-02", frames=0, rows=mot_rows(1))
    with pytest.raises(DataError, match="holds no image"):
        only(folder)


def test_no_ground_truth(tmp_path):
    mot_sequence(tmp_path / "train", "MOT16-02", truth=False)
    with pytest.raises(DataError, match=r"gt\.txt: no ground truth; every sequence needs"):
        Mot(str(tmp_path)).videos()
    mot_sequence(tmp_path / "test", "MOT16-01", truth=False)
    with pytest.raises(DataError, match="test splits are published without"):
        Mot(str(tmp_path / "test")).videos()
    mot_sequence(tmp_path / "void", "MOT16-02", rows=[])
    with pytest.raises(DataError, match="holds no row"):
        Mot(str(tmp_path / "void")).videos()
    nobody = mot_sequence(tmp_path, "nobody", rows=[(1, 1, 1, 1, 5, 5, 0, 3, 1)])
    (note,) = Mot(str(nobody)).notes()
    assert note.startswith("nobody: no box is foreground: column 7 is 0 in every row")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("no section", "seqinfo.ini is not used: File contains no section headers"),
        ("[Other]\na=1", "seqinfo.ini is not used: it has no section [Sequence]"),
        ("[Sequence]\nseqLength=many", "seqLength=many of seqinfo.ini is not used"),
        ("[Sequence]\nframeRate=-1", "frameRate=-1 of seqinfo.ini is not used"),
        ("[Sequence]\nframeRate=nan", "frameRate=nan of seqinfo.ini is not used"),
        ("[Sequence]\nimDir=frames", "imDir=frames of seqinfo.ini is not used, but img1"),
        ("[Sequence]\nimDir=../../etc", "it leads out of the sequence"),
        (b"\xff\xfe[\x00S\x00", "seqinfo.ini is not used: 'utf-8' codec"),
        ("", "seqinfo.ini is not used: it has no section [Sequence]"),
        ("[Sequence]\nseqLength=\nimDir=", None),
    ],
)
def test_seqinfo_is_optional_in_every_respect(tmp_path, text, note):
    file = mot_sequence(tmp_path, "MOT16-02") / "seqinfo.ini"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert only(tmp_path).probe() == (5, Size(48, 64), None)
    (found,) = Mot(str(tmp_path)).notes() or [None]
    assert found is None if note is None else note in found


def test_pictures_may_lie_behind_a_link(tmp_path):
    folder = mot_sequence(tmp_path / "train", "MOT16-02")
    (folder / "img1").rename(tmp_path / "pictures")
    (folder / "img1").symlink_to(tmp_path / "pictures")
    assert Mot(str(tmp_path / "train")).notes() == []


def test_relative_paths_are_looked_up_in_vidseg_data(tmp_path, monkeypatch):
    mot_sequence(tmp_path / "data" / "mot", "MOT16-02")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="VIDSEG_DATA") as caught:
        Mot("mot")
    assert str(tmp_path / "mot") in str(caught.value)
    monkeypatch.setenv("VIDSEG_DATA", str(tmp_path / "data"))
    assert Mot("mot").videos()[0].name == "MOT16-02"
    with pytest.raises(DataError, match="looked at") as caught:
        Mot("elsewhere")
    assert str(tmp_path / "elsewhere") in str(caught.value)
    assert str(tmp_path / "data" / "elsewhere") in str(caught.value)


def test_home_is_expanded(tmp_path, monkeypatch):
    mot_sequence(tmp_path / "mot", "MOT16-02")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Mot("~/mot").videos()[0].name == "MOT16-02"


def test_opening_reads_no_pixel(tmp_path):
    folder = mot_sequence(tmp_path, "MOT16-02")
    for file in (folder / "img1").iterdir():
        file.write_bytes(b"")
    assert only(folder).name == "MOT16-02"


def test_other_label_sources_are_refused(tmp_path):
    with pytest.raises(UsageError, match="propagated"):
        only(mot_sequence(tmp_path, "MOT16-02")).labels(0, "propagated")


# The real files, read by hand with a text editor and `wc -l`: frames, size, boxes that are kept,
# ignored ones among them; then {0-based frame: (boxes in it, its first box, its last box)}.
BY_HAND = {
    "mot/TUD-Campus": (
        (71, Size(480, 640), 359, 0),
        {
            0: (6, (399, 182, 121, 229), (162, 208, 55, 145)),
            70: (4, (561, 220, 63, 133), (416, 204, 58, 164)),
        },
    ),
    "mot/TUD-Stadtmitte": (
        (179, Size(480, 640), 1156, 0),
        {0: (7, (88, 99, 61.08, 218.56), (576, 84, 61.632, 195.56))},
    ),
    "mot/KITTI-17": (
        (145, Size(370, 1224), 782, 99),
        {
            0: (6, (466, 139, 91, 193.68), (569, 146, 12.667, 45.613)),
            144: (2, (866, 102, 224.65, 266.63), (1039, 150, 184.4, 219.32)),
        },
    ),
    "mot/MOT16-09-quarter": (
        (525, Size(270, 480), 5257, 0),
        {
            0: (6, (65.00, 112.50, 25.50, 65.50), (-87.00, 58.75, 119.25, 173.75)),
            524: (10, (418.50, 111.00, 15.50, 48.50), (455.00, 94.00, 31.25, 78.50)),
        },
    ),
    "mot-duplicate/ADL-Rundle-6-quarter": (
        (60, Size(270, 480), 340, 0),
        {59: (7, (384.75, 86.75, 50.25, 114.75), (468.75, 109.25, 11.25, 44.75))},
    ),
    "mot17-mini/train/MOT17-02-FRCNN": (
        (4, Size(1080, 1920), 88, 0),
        {3: (22, (1351, 417, 171, 381), (666, 451, 34, 85))},
    ),
    "mot17-mini/train/MOT17-04-FRCNN": (
        (8, Size(1080, 1920), 336, 0),
        {7: (42, (1362, 568, 103, 241), None)},
    ),
}


@pytest.mark.real
@pytest.mark.parametrize("name", BY_HAND)
def test_real_sequences_equal_the_table_made_by_hand(samples: Path, name: str) -> None:
    (length, size, kept, ignored), frames = BY_HAND[name]
    video = only(samples / name)
    info = video.probe()
    assert (info.length, info.size) == (length, size)
    labels = [video.labels(index) for index in range(length)]
    assert sum(len(each.boxes) for each in labels) == kept
    assert sum(int(each.ignored.sum()) for each in labels) == ignored
    for index, (count, first, last) in frames.items():
        assert len(labels[index].boxes) == count
        assert tuple(labels[index].boxes[0]) == first
        assert last is None or tuple(labels[index].boxes[-1]) == last


@pytest.mark.real
@pytest.mark.parametrize("name", BY_HAND)
def test_real_sequences_equal_a_plain_parse(samples: Path, name: str) -> None:
    video = only(samples / name)
    wanted: dict[int, list[tuple[float, ...]]] = {}
    with (samples / name / "gt" / "gt.txt").open() as stream:
        for row in csv.reader(stream):
            frame, person, *box_text = row[:6]
            ten = len(row) == 10
            if ten or (row[6] == "1" and row[7] == "1"):
                ignored = ten and float(row[6]) == 0
                coordinates = (*map(float, box_text), float(person), float(ignored))
                wanted.setdefault(int(frame) - 1, []).append(coordinates)
    for index in range(video.probe().length):
        labels = video.labels(index)
        got = np.column_stack([labels.boxes, labels.ids, labels.ignored])
        np.testing.assert_array_equal(got, np.array(wanted.get(index, [])).reshape(-1, 6))


@pytest.mark.real
def test_real_traps(samples: Path) -> None:
    mini = Mot(str(samples / "mot17-mini"))
    assert [video.group for video in mini.videos()] == ["MOT17-02", "MOT17-04"]
    assert mini.notes() == [
        "MOT17-02-FRCNN: seqLength says 600, 4 frames exist and are used",
        "MOT17-04-FRCNN: seqLength says 1050, 8 frames exist and are used",
    ]
    plain = Mot(str(samples / "mot"))
    names = ["KITTI-17", "MOT16-09-quarter", "TUD-Campus", "TUD-Stadtmitte"]
    assert [video.name for video in plain.videos()] == names
    assert plain.notes() == []
    kitti = plain.videos()[0].labels(0)
    np.testing.assert_array_equal(kitti.ignored, [False, False, True, True, True, True])


@pytest.mark.real
def test_a_real_box_that_reaches_over_the_border(samples: Path) -> None:
    """MOT16-09, frame 1, person 23: -87.00, 58.75, 119.25, 173.75.

    0-based edges: x from -88 to 31.25, y from 57.75 to 231.5: a pixel centre on the lower edge is
    outside.
    """
    video = only(samples / "mot" / "MOT16-09-quarter")
    mask = rasterise(video.labels(0), Size(270, 480))
    assert (mask[100, :31] == 1).all()
    assert mask[100, 31] == -1
    np.testing.assert_array_equal(mask[[57, 58, 230, 231], 0], [-1, 1, 1, -1])


class TestWhatIsIgnored:
    """Rows of 9 columns: active, class, visibility."""

    ROWS = (
        (1, 1, 1, 1, 10, 10, 1, 1, 0.9),  # a pedestrian
        (1, 2, 21, 1, 10, 10, 1, 1, 0.2),  # hardly visible
        (1, 3, 31, 1, 10, 10, 0, 8, 1),  # a distractor
        (1, 4, 41, 1, 10, 10, 1, 7, 1),  # a static person
        (1, 5, 51, 1, 10, 10, 1, 6, 1),  # MOT20: a non-motorised vehicle
        (1, 6, 1, 21, 10, 10, 1, 3, 1),  # a car
        (1, 7, 21, 21, 10, 10, 0, 1, 1),  # a pedestrian that does not count
    )

    def ids(self, root: Path, name: str = "MOT16-02", **options: object) -> tuple[set, set]:
        if not (root / name).exists():
            mot_sequence(root, name, rows=self.ROWS)
        labels = Mot(str(root / name), **options).videos()[0].labels(0)
        return set(labels.ids[~labels.ignored].tolist()), set(labels.ids[labels.ignored].tolist())

    def test_nothing_is_by_default_as_in_the_paper(self, tmp_path):
        assert self.ids(tmp_path) == ({1, 2}, set())

    def test_classes(self, tmp_path):
        assert self.ids(tmp_path, ignore_classes=(8,)) == ({1, 2}, {3})
        assert self.ids(tmp_path, ignore_classes=(3, 8)) == ({1, 2}, {3, 6})

    def test_motchallenges_own_rule(self, tmp_path):
        assert self.ids(tmp_path, ignore_classes=("mot",)) == ({1, 2}, {3, 4})
        assert self.ids(tmp_path, "MOT20-01", ignore_classes=("mot",)) == ({1, 2}, {3, 4, 5})
        found = self.ids(tmp_path, ignore_classes=("mot",), classes=(1, 7))
        assert found == ({1, 2, 4}, {3})

    def test_visibility(self, tmp_path):
        assert self.ids(tmp_path, min_visibility=0.5) == ({1}, {2})
        assert self.ids(tmp_path, min_visibility=0.2) == ({1, 2}, set())
        assert self.ids(tmp_path, min_visibility=0.5, ignore_classes=("mot",)) == ({1}, {2, 3, 4})

    def test_in_the_mask_they_are_neither(self, tmp_path):
        mot_sequence(tmp_path, "a", rows=self.ROWS)
        labels = (
            Mot(str(tmp_path), ignore_classes=("mot",), min_visibility=0.5).videos()[0].labels(0)
        )
        mask = rasterise(labels, Size(48, 64))
        assert mask[5, [5, 25, 35, 45, 55]].tolist() == [1, 0, 0, 0, -1]

    def test_features_stay_labels_change(self, tmp_path):
        mot_sequence(tmp_path, "a", rows=self.ROWS)
        one, other = (
            Mot(str(tmp_path), **options).videos()[0] for options in ({}, {"min_visibility": 0.5})
        )
        assert one.image_key == other.image_key
        assert one.label_key != other.label_key

    def test_mot15_has_neither_class_nor_visibility(self, tmp_path):
        mot_sequence(tmp_path, "old", version="mot15")
        assert len(Mot(str(tmp_path), ignore_classes=("mot",)).videos()) == 1
        with pytest.raises(DataError, match=r"gt\.txt: has MOT15's 10 columns.*min_visibility"):
            Mot(str(tmp_path), min_visibility=0.5).videos()

    def test_a_visibility_that_is_none_is_refused(self, tmp_path):
        mot_sequence(tmp_path, "a", rows=[(1, 1, 1, 1, 10, 10, 1, 1, -1)])
        assert len(Mot(str(tmp_path)).videos()) == 1
        with pytest.raises(DataError, match=r"visibility outside 0\.\.1"):
            Mot(str(tmp_path), min_visibility=0.5).videos()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("min_visibility=1.5", r"min_visibility=1\.5 is refused"),
            ("min_visibility=-0.1", r"min_visibility=-0\.1 is refused"),
            ("ignore_classes=paper", r"gt\.txt \(ignore_classes\): no class is called 'paper'"),
            ("ignore_classes=1", "class 1 is both foreground and ignored"),
        ],
    )
    def test_nonsense(self, tmp_path, options, message):
        mot_sequence(tmp_path, "a")
        with pytest.raises(VidsegError, match=message):
            plugins.create("dataset", f"mot:{tmp_path},{options}").videos()

    def test_through_a_spec(self, tmp_path):
        mot_sequence(tmp_path, "a", rows=self.ROWS)
        made = plugins.create("dataset", f"mot:{tmp_path},ignore_classes=8,ignore_classes=6")
        assert made.videos()[0].labels(0).ignored.sum() == 2
        one = plugins.create("dataset", f"mot:{tmp_path},ignore_classes=8")
        assert one.videos()[0].labels(0).ignored.sum() == 1
        rule = plugins.create("dataset", f"mot:{tmp_path},ignore_classes=mot")
        assert rule.videos()[0].labels(0).ignored.sum() == 2
