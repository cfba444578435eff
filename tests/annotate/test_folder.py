"""Annotation folders: every edit, its undo, and what is left after a crash."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from pydantic import ValidationError

from vidseg.annotate import folder as folders
from vidseg.annotate.folder import AnnotationFolder
from vidseg.datasets.annotation import EDIT
from vidseg.datasets.annotation_file import JOURNAL, SNAPSHOT, read_annotation
from vidseg.datasets.annotation_records import (
    Batch,
    Describe,
    Edit,
    Finish,
    ObjectRecord,
    PutFills,
    PutKey,
    PutObject,
    PutRegion,
    RegionRecord,
    RemoveObject,
    RemoveRegion,
    SetClasses,
    SetSettings,
    Span,
    VideoRecord,
)
from vidseg.errors import DataError, StoreError, UsageError

VIDEO = VideoRecord(
    name="street", group="street", path="v.mp4", fingerprint="f", length=50, height=48, width=64
)
BOX = (1.0, 2.0, 10.0, 12.0)


def span(first: int, count: int) -> Span:
    return Span(first=first, boxes=[(i, 1.5, 5.0, 5.0) for i in range(count)], doubt=[0.25] * count)


def put(number: int, **fields: object) -> PutObject:
    return PutObject(object=ObjectRecord(id=number, **fields))


EDITS: list[Edit] = [
    put(1, name="person", keys={0: BOX, 10: BOX}, fills=[span(1, 9)]),
    put(2),
    PutKey(id=2, frame=3, box=BOX),
    PutKey(id=2, frame=9, gone=True),
    PutFills(id=2, first=4, last=8, spans=[span(4, 2), span(7, 1)]),
    PutKey(id=1, frame=5, box=BOX),
    PutKey(id=1, frame=10),
    Describe(id=2, name="bicycle", ignored=True),
    Finish(frames=[(0, 4), (8, 8)]),
    Finish(frames=[(2, 2)], finished=False),
    PutRegion(region=RegionRecord(id=1, box=BOX, first=0, last=49)),
    PutRegion(region=RegionRecord(id=1, box=BOX, first=5, last=9)),
    SetClasses(names=["person", "bicycle"]),
    SetSettings(settings={"tracker": "lk", "deep": {"a": [1, None]}}),
    Batch(edits=[PutKey(id=1, frame=7, box=BOX), RemoveObject(id=2)]),
    RemoveRegion(id=1),
]


@pytest.fixture
def opened(tmp_path: Path):
    with AnnotationFolder.create(tmp_path / "a", VIDEO) as found:
        yield found


def state(opened: AnnotationFolder) -> object:
    return opened.annotation.snapshot.model_copy(update={"revision": 0})


def test_edits_are_read_again_undone_and_redone(opened: AnnotationFolder):
    states = [state(opened)]
    for edit in EDITS:
        opened.apply(edit)
        states.append(state(opened))
        on_disk = read_annotation(opened.folder)
        assert on_disk.snapshot == opened.annotation.snapshot
    for before in reversed(states[:-1]):
        assert opened.can_undo
        opened.undo()
        assert state(opened) == before
    assert not opened.can_undo
    assert opened.undo() is None
    for after in states[1:]:
        opened.redo()
        assert state(opened) == after
    assert opened.redo() is None
    opened.undo()
    opened.apply(SetClasses(names=["x"]))
    assert not opened.can_redo
    assert read_annotation(opened.folder).snapshot == opened.annotation.snapshot


def test_edits_survive_json(opened: AnnotationFolder):
    for edit in EDITS:
        assert EDIT.validate_json(EDIT.dump_json(edit)) == edit


def test_a_key_drops_what_was_propagated_up_to_its_neighbours(opened: AnnotationFolder):
    opened.apply(put(1, keys={5: BOX, 20: BOX, 30: BOX}, fills=[span(0, 5), span(6, 14)]))
    opened.apply(PutFills(id=1, first=21, last=29, spans=[span(21, 9)]))
    one = opened.annotation.object(1)
    assert one.at(7).origin == "propagated"
    assert one.at(7).doubt == 0.25
    opened.apply(PutKey(id=1, frame=10, box=BOX))
    assert sorted(one.fills) == [*range(5), *range(21, 30)]
    assert one.at(10) == (BOX, "human", None)
    assert one.at(7) is None
    opened.apply(PutKey(id=1, frame=25, gone=True))
    assert sorted(one.fills) == [*range(5)]
    assert one.at(25) is None


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (PutKey(id=9, frame=0, box=BOX), "no object 9"),
        (PutKey(id=1, frame=50, box=BOX), "no frame 50, only 0 to 49"),
        (PutKey(id=1, frame=0, box=(64.0, 0.0, 5.0, 5.0)), "outside of the frame, which is 64x48"),
        (PutFills(id=1, first=0, last=3, spans=[span(2, 4)]), "outside of the frames 0 to 3"),
        (Finish(frames=[(0, 50)]), "no frame 50"),
        (RemoveObject(id=9), "no object 9"),
        (RemoveRegion(id=9), "no region 9"),
        (Batch(edits=[SetClasses(names=["x"]), RemoveObject(id=9)]), "no object 9"),
    ],
)
def test_an_edit_that_does_not_fit_changes_nothing(
    opened: AnnotationFolder, edit: Edit, message: str
):
    opened.apply(put(1, keys={0: BOX}))
    before, journal = state(opened), (opened.folder / JOURNAL).read_bytes()
    with pytest.raises(UsageError, match=message):
        opened.apply(edit)
    assert state(opened) == before
    assert (opened.folder / JOURNAL).read_bytes() == journal


@pytest.mark.parametrize(
    "bad",
    [
        {"op": "key", "id": 1, "frame": 0, "box": [0, 0, 0, 5]},
        {"op": "key", "id": 1, "frame": 0, "box": [0, 0, -1, 5]},
        {"op": "key", "id": 1, "frame": 0, "box": [float("nan"), 0, 5, 5]},
        {"op": "key", "id": 1, "frame": 0, "box": [0, 0, float("inf"), 5]},
        {"op": "key", "id": 1, "frame": 0, "box": [0, 0, 1e9, 5]},
        {"op": "key", "id": 1, "frame": -1, "box": [0, 0, 5, 5]},
        {"op": "key", "id": 1, "frame": 0, "box": [0, 0, 5, 5], "gone": True},
        {"op": "key", "id": 1, "frame": 0, "bx": [0, 0, 5, 5]},
        {"op": "drop", "id": 1},
        {"op": "describe", "id": 1, "name": "x" * 201},
    ],
)
def test_an_edit_that_is_none_is_refused(bad: dict[str, object]):
    with pytest.raises(ValidationError):
        EDIT.validate_python(bad)


def test_a_line_that_was_torn_is_left_out_and_overwritten(opened: AnnotationFolder):
    for edit in EDITS[:4]:
        opened.apply(edit)
    opened._journal.close()  # as if the process had been killed here
    opened._lock.release()
    journal = opened.folder / JOURNAL
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(whole) - len(lines[-1]) + 1, len(whole)):
        journal.write_bytes(whole[:cut])
        assert read_annotation(opened.folder).revision == 3
    with AnnotationFolder(opened.folder) as again:
        again.apply(EDITS[3])
        assert state(again) == state(opened)
    assert read_annotation(opened.folder).snapshot == opened.annotation.snapshot


def test_a_snapshot_whose_journal_was_not_cut_yet_counts_edits_once(opened: AnnotationFolder):
    for edit in EDITS[:5]:
        opened.apply(edit)
    journal = (opened.folder / JOURNAL).read_bytes()
    opened.save()
    assert (opened.folder / JOURNAL).read_bytes() == b""
    (opened.folder / JOURNAL).write_bytes(journal)  # killed between snapshot and cut
    assert read_annotation(opened.folder).snapshot == opened.annotation.snapshot


def test_a_long_journal_is_folded_into_the_snapshot(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(folders, "LEAST", 2000)
    with AnnotationFolder.create(tmp_path / "a", VIDEO) as opened:
        opened.apply(put(1))
        sizes = []
        for frame in range(50):
            opened.apply(PutKey(id=1, frame=frame, box=BOX))
            sizes.append((opened.folder / JOURNAL).stat().st_size)
            assert read_annotation(opened.folder).snapshot == opened.annotation.snapshot
        assert max(sizes) < 2500
        assert sizes.count(0) >= 2


def test_random_edits_equal_what_is_read_again(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(folders, "LEAST", 1500)
    draw = random.Random(1)
    with AnnotationFolder.create(tmp_path / "a", VIDEO) as opened:
        for number in range(3):
            opened.apply(put(number))
        for _ in range(150):
            number, frame = draw.randrange(3), draw.randrange(50)
            last = min(49, frame + 3)
            choice = draw.choice(
                [
                    PutKey(id=number, frame=frame, box=BOX),
                    PutKey(id=number, frame=frame, gone=True),
                    PutKey(id=number, frame=frame),
                    PutFills(id=number, first=frame, last=last, spans=[span(frame, 1)]),
                    Finish(frames=[(frame, last)], finished=draw.random() < 0.7),
                    None,
                ]
            )
            if choice is None:
                opened.undo()
            else:
                opened.apply(choice)
        assert read_annotation(opened.folder).snapshot == opened.annotation.snapshot
        while opened.can_undo:
            opened.undo()
        assert not opened.annotation.objects
        assert read_annotation(opened.folder).snapshot == opened.annotation.snapshot


def test_a_full_disk_changes_nothing(opened: AnnotationFolder, monkeypatch):
    opened.apply(put(1))
    before, journal = state(opened), (opened.folder / JOURNAL).read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"cannot be written .No space left"):
        opened.apply(PutKey(id=1, frame=0, box=BOX))
    assert state(opened) == before
    assert (opened.folder / JOURNAL).read_bytes() == journal
    monkeypatch.undo()
    opened.apply(PutKey(id=1, frame=0, box=BOX))
    assert read_annotation(opened.folder).snapshot == opened.annotation.snapshot


def test_one_process_edits_a_folder(opened: AnnotationFolder):
    with pytest.raises(StoreError, match="is being edited by another process"):
        AnnotationFolder(opened.folder)
    opened.close()
    with AnnotationFolder(opened.folder):
        pass


def test_a_folder_is_not_made_over_another(opened: AnnotationFolder, tmp_path: Path):
    with pytest.raises(DataError, match="holds an annotation already"):
        AnnotationFolder.create(opened.folder, VIDEO)
    with pytest.raises(DataError, match="no such folder"):
        AnnotationFolder(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        AnnotationFolder.create(tmp_path / "file" / "a", VIDEO)


def test_damaged_files_name_their_line(opened: AnnotationFolder):
    for edit in EDITS[:3]:
        opened.apply(edit)
    folder, journal = opened.folder, opened.folder / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + b'{"revision": 2}\n' + lines[2])
    with pytest.raises(DataError, match=r"journal.jsonl:2: is damaged \(edit: Field required"):
        read_annotation(folder)
    journal.write_bytes(lines[2].replace(b":3,", b":1,", 1))
    with pytest.raises(DataError, match=r"journal.jsonl, edit 1: there is no object 2"):
        read_annotation(folder)
    journal.write_bytes(b"")

    held = json.loads((folder / SNAPSHOT).read_text())
    for change, message in (
        ({"version": 2}, "is of version 2, this vidseg reads 1; use the newer vidseg"),
        ({"format": "other"}, "is malformed .format"),
        ({"objects": [{"id": 1, "keys": {"99": BOX}}]}, "there is no frame 99"),
        ({"objects": [{"id": 1}, {"id": 1}]}, "two objects have one id"),
        ({"objects": [{"id": 1, "keys": {"0": [0, 0, 0, 1]}}]}, r"0.keys.0\S*: a box has a width"),
    ):
        (folder / SNAPSHOT).write_text(json.dumps(held | change))
        with pytest.raises(DataError, match=message):
            read_annotation(folder)
    (folder / SNAPSHOT).write_text("{")
    with pytest.raises(DataError, match="is malformed"):
        read_annotation(folder)
    (folder / SNAPSHOT).unlink()
    with pytest.raises(DataError, match="no annotation"):
        read_annotation(folder)


def test_thousands_of_objects_are_written_edit_by_edit(opened: AnnotationFolder):
    opened.apply(Batch(edits=[put(i, keys={0: BOX, 49: BOX}) for i in range(3000)]))
    opened.apply(PutKey(id=1500, frame=20, box=BOX))
    grown = (opened.folder / JOURNAL).stat().st_size
    opened.apply(PutKey(id=1500, frame=21, box=BOX))
    assert (opened.folder / JOURNAL).stat().st_size - grown < 200
    assert len(read_annotation(opened.folder).at(0)) == 3000
