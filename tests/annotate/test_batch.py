"""Key boxes propagated to annotation folders: by the API, the command, and after a stop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import vidseg
from tests.helpers.moving import Moving, arc
from vidseg import plugins
from vidseg.annotate.batch import _ids, folder_name
from vidseg.cli.propagate import METHODS, propagate
from vidseg.datasets.annotation_file import read_annotation
from vidseg.errors import DataError, StoreError, UsageError
from vidseg.labels.key_boxes import KeyTrack
from vidseg.media.write_clip import write_clip
from vidseg.trackers import fill, run
from vidseg.trackers.boxes import iou
from vidseg.types import labelled_frames


def sequence(root: Path, name: str, path: list[tuple[int, int] | None]) -> Moving:
    """Write the moving patch as a MOT sequence."""
    clip = Moving(path)
    (root / name / "img1").mkdir(parents=True)
    (root / name / "gt").mkdir()
    rows = []
    for index, image in enumerate(clip.frames(range(len(path)))):
        Image.fromarray(image).save(root / name / "img1" / f"{index + 1:06d}.png")
        if (box := clip.box(index)) is not None:
            left, top, width, height = box
            rows.append(f"{index + 1},5,{left + 1},{top + 1},{width},{height},1,1,1\n")
    (root / name / "gt" / "gt.txt").write_text("".join(rows))
    return clip


@pytest.fixture
def films(tmp_path: Path) -> dict[str, Moving]:
    root = tmp_path / "mot"
    return {
        "a": sequence(root, "a", arc(25)),
        "b": sequence(root, "b", [(60, 40)] * 13 + [None] * 12),
    }


def call(tmp_path: Path, **options: object) -> list[object]:
    given = {"output": tmp_path / "out", "every": 12, "store": tmp_path / "store"}
    return vidseg.propagate(f"mot:{tmp_path / 'mot'}", **(given | options))


def test_the_folders_are_a_data_set(tmp_path: Path, films: dict[str, Moving]):
    first, second = call(tmp_path)
    assert (first.name, first.frames, first.key_frames, first.objects) == ("a", 25, 3, 1)
    assert (first.human, first.propagated, first.kept) == (3, 22, 0)
    assert (second.human, second.propagated) == (2, 17)
    video, other = plugins.create("dataset", f"annotated:{tmp_path / 'out'}").videos()
    source = plugins.create("dataset", f"mot:{tmp_path / 'mot'}").videos()[0]
    assert video.image_key == source.image_key
    assert list(labelled_frames(video)) == list(range(25))
    boxes = np.concatenate([video.labels(i).boxes for i in range(25)])
    assert iou(boxes, np.array([films["a"].box(i) for i in range(25)])).min() > 0.75
    drawn = [i for i in range(25) if video.truth.human(i).all()]
    assert drawn == [0, 12, 24]
    assert [i for i in range(25) if len(other.labels(i).boxes)] == list(range(19))
    annotation = read_annotation(tmp_path / "out" / "b")
    assert annotation.object(5).keys[19] is None
    assert not other.truth.notes(other.probe())
    assert annotation.video.path == "../../mot/b/img1" or Path(annotation.video.path).is_absolute()


def test_a_stopped_call_goes_on_from_the_finished_gaps(
    tmp_path: Path, films: dict[str, Moving], monkeypatch
):
    whole = [read_annotation(one.folder).snapshot for one in call(tmp_path)]
    given = {"output": tmp_path / "again"}
    track = run.run_gaps

    def stopping(*args: object, **kwargs: object):
        for number, found in enumerate(track(*args, **kwargs)):
            if number == 1:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr("vidseg.annotate.batch.run_gaps", stopping)
    with pytest.raises(KeyboardInterrupt):
        call(tmp_path, **given)
    assert not read_annotation(tmp_path / "again" / "a").finished
    monkeypatch.undo()
    done = call(tmp_path, **given)
    assert [one.kept for one in done] == [1, 0]
    found = [read_annotation(one.folder).snapshot for one in done]
    for a, b in zip(found, whole, strict=True):
        assert (a.objects, a.finished) == (b.objects, b.finished)
    assert [one.kept for one in call(tmp_path, **given)] == [2, 2]


def test_another_way_is_refused_or_replaces(tmp_path: Path, films: dict[str, Moving]):
    call(tmp_path, method="linear", tracker="still")
    before = read_annotation(tmp_path / "out" / "a").object(5)
    assert before.at(3).doubt is None
    with pytest.raises(DataError, match=r"was made in another way.*--fresh"):
        call(tmp_path)
    assert [one.kept for one in call(tmp_path, method="linear", tracker="dsst")] == [2, 2]
    call(tmp_path, fresh=True)
    after = read_annotation(tmp_path / "out" / "a").object(5)
    assert after.at(3).doubt is not None
    assert after.keys == before.keys


def test_the_command_prints_a_table(tmp_path: Path, films: dict[str, Moving]):
    words = [f"mot:{tmp_path / 'mot'}", "--every", "12", "--output", str(tmp_path / "out")]
    words += ["--store", str(tmp_path / "store"), "--tracker", "still"]
    done = CliRunner().invoke(propagate, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "annotated:" in done.output
    assert "are doubtful" in done.output
    assert METHODS == fill.METHODS


def test_words_that_cannot_be_meant(tmp_path: Path, films: dict[str, Moving]):
    with pytest.raises(UsageError, match="there is no 'linaer'; did you mean 'linear'"):
        call(tmp_path, method="linaer")
    with pytest.raises(UsageError, match="0 is refused"):
        call(tmp_path, every=0)


def test_names_and_numbers_of_folders_and_objects():
    assert folder_name("a/b:c") == "a_b_c"
    assert folder_name("..") == "_.."
    assert folder_name("") == "_"
    tracks = [KeyTrack(4), KeyTrack(4, True), KeyTrack(-2), KeyTrack(0)]
    assert _ids(tracks) == [4, 5, 6, 0]


def clip(folder: Path, path: list[tuple[int, int] | None]) -> Moving:
    """Write the moving patch as a clip with boxes beside it."""
    found = Moving(path)
    folder.mkdir()
    write_clip(found.frames(range(len(path))), folder / "film.mp4", 25)
    rows = [
        f"{index + 1},5,{place[0] + 1},{place[1] + 1},36,30,1,1,1\n"
        for index, place in enumerate(path)
        if place is not None
    ]
    (folder / "film.txt").write_text("".join(rows))
    return found


def test_a_clip_is_named_by_its_file(tmp_path: Path):
    film = clip(tmp_path / "clips", arc(25))
    (done,) = vidseg.propagate(
        f"clip:{tmp_path / 'clips'}", output=tmp_path / "clips", every=12, store=tmp_path / "store"
    )
    annotation = read_annotation(done.folder)
    assert annotation.video.path == "../film.mp4"
    (video,) = plugins.create("dataset", f"annotated:{tmp_path / 'clips'}").videos()
    assert video.probe().length == 25
    assert video.label_key
    boxes = np.concatenate([video.labels(i).boxes for i in range(25)])
    assert iou(boxes, np.array([film.box(i) for i in range(25)])).min() > 0.7


def test_a_clip_that_does_not_decode_to_its_end_is_one_line(tmp_path: Path):
    clip(tmp_path / "clips", arc(25))
    file = tmp_path / "clips" / "film.mp4"
    file.write_bytes(file.read_bytes()[:-2000])
    words = [f"clip:{tmp_path / 'clips'}", "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(propagate, [*words, "--store", str(tmp_path / "store")])
    assert isinstance(done.exception, DataError)
    assert "film.mp4" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, films: dict[str, Moving]):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        call(tmp_path, output=tmp_path / "file")


@pytest.mark.real
def test_real_people_are_found_again(samples: Path, tmp_path: Path):
    spec = f"mot:{samples / 'mot' / 'TUD-Stadtmitte'}"
    (done,) = vidseg.propagate(spec, output=tmp_path / "out", every=20, store=tmp_path / "store")
    (video,) = plugins.create("dataset", f"annotated:{tmp_path / 'out'}").videos()
    (truth,) = plugins.create("dataset", spec).videos()
    overlaps = []
    for frame in range(179):
        true, found = truth.labels(frame), video.labels(frame)
        places = {int(number): box for number, box in zip(found.ids, found.boxes, strict=True)}
        for number, box in zip(true.ids, true.boxes - np.array([1, 1, 0, 0]), strict=True):
            overlaps.append(float(iou(places.get(int(number), np.zeros(4)), box)))
    assert done.human < 0.06 * len(overlaps)
    assert np.mean(overlaps) > 0.8
