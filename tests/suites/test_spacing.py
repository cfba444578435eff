"""Suites on videos of which some frames are labelled: what is trained on, scored, and left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.helpers.suites import Place, install
from vidseg import plugins
from vidseg.errors import DataError, PluginError, UnlabelledError
from vidseg.experiment.config import make_config
from vidseg.experiment.splits import Part
from vidseg.plugins import registry
from vidseg.plugins.spec import parse
from vidseg.report import write_report
from vidseg.suites.record import suite_record
from vidseg.suites.spacing import spacing_note

DENSE = "synthetic:videos=3,frames=20,size=64x48"
SPARSE = f"{DENSE},labelled=every:5"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def run(place: Place, **options: Any) -> Any:
    given = {
        "extractor": "filters:octaves=1",
        "classifier": "quick",
        "image_size": "32x24",
        "device": "cpu",
        "threads": 1,
        "refit": False,
        **options,
    }
    return place.run_one(make_config(given))


def arms(**given: str) -> dict[str, Any]:
    return {name: {"sampler": sampler} for name, sampler in given.items()}


def test_labelled_frames_alone_are_trained_on_and_scored(place: Place) -> None:
    """Every fifth frame of dense labels, and labels of every fifth frame: the same numbers."""
    sparse = run(place, dataset=SPARSE, sampler="all")
    dense = run(place, dataset=DENSE, sampler="strided:every=5", test_stride=5)
    assert [row["frames"] for row in sparse.per_video] == [4, 4, 4]
    for name in ("iou", "gscore", "accuracy", "ap", "iou_position", "iou_colour"):
        assert [row[name] for row in sparse.per_video] == [row[name] for row in dense.per_video]
    assert sparse.headline["iou"] > 0


def test_a_stride_of_test_frames_counts_labelled_ones(place: Place) -> None:
    found = run(place, dataset=SPARSE, sampler="1", test_stride=2)
    assert [row["frames"] for row in found.per_video] == [2, 2, 2]


@pytest.mark.parametrize(
    ("kind", "held"), [("frame", [[0], [5], [10], [15]]), ("block", [[0], [5], [10], [15]])]
)
def test_splits_by_frame_count_labelled_frames(
    place: Place, kind: str, held: list[list[int]]
) -> None:
    bench = place.bench(dataset=SPARSE, arms=arms(all="all"), split=f"{kind}:k=4", comparisons=[])
    (experiment,) = bench.experiments.values()
    material = experiment.materials["syn00"]
    tested = [experiment.test_frames(cell.fold, material) for cell in bench.cells]
    assert tested == held
    for cell, own in zip(bench.cells, held, strict=True):
        train = experiment.training(cell.setting, cell.fold)
        trained = {ref.index for ref in train.refs if ref.video == "syn00"}
        assert trained == {0, 5, 10, 15} - set(own)
    assert experiment.holds_out(Part("frame", 4, 1), "syn00", 3)  # with the labelled one after it
    assert experiment.holds_out(Part("block", 4, 3), "syn00", 19)


def test_the_run_says_the_true_spacing(place: Place) -> None:
    with pytest.raises(UnlabelledError, match=r"needs 20 frames 1 apart.*strided:every=5,n=4"):
        run(place, dataset=SPARSE, sampler="20")
    found = run(place, dataset=SPARSE, sampler="20:short=all")
    assert (
        "the sampler 20 asks for frames 1 apart; the labels have them 5 apart, 4 frames of a video"
        in found.notes
    )
    assert not any("apart" in note for note in run(place, dataset=SPARSE, sampler="all").notes)


def test_arms_that_the_labels_cannot_give_are_left_out_before_anything_runs(place: Place) -> None:
    given = arms(one="window:n=1", row="window:n=4,every=1,short=all", far="window:n=4,every=5")
    compared = [{"a": "one", "b": "row"}, {"a": "row", "b": "far"}, {"a": "one", "b": "far"}]
    bench = place.bench(dataset=SPARSE, arms=given, comparisons=compared)
    assert {cell.arm.name for cell in bench.cells} == {"one", "far"}
    assert list(bench.left_out.errors) == ["row"]
    arm, pairs = bench.left_out.notes
    assert arm == (
        "left out: the arm row: it asks for frames 1 apart, and labelled frames are 5 apart"
    )
    assert pairs == "not compared, because an arm is left out: one against row, row against far"
    results, plan = place.run(bench)
    record = suite_record(bench, bench.cells, results, plan)
    assert record.notes[:2] == [arm, pairs]
    assert [(c.arm_a, c.arm_b) for c in record.comparisons] == [("one", "far")]
    assert not record.plan["failed"]


def test_short_all_takes_what_there_is_and_the_record_says_how_far_apart(place: Place) -> None:
    given = {"one": {"sampler": 1}, "row": {"sampler": "20:short=all"}}
    bench = place.bench(dataset=SPARSE, arms=given, comparisons=[{"a": "one", "b": "row"}])
    assert not bench.left_out.errors
    results, plan = place.run(bench)
    record = suite_record(bench, bench.cells, results, plan)
    (note,) = [note for note in record.notes if "apart" in note]
    assert note.startswith("the arm row asks for frames 1 apart; the labels have them 5 apart")
    assert record.settings[1].frames["syn00"] == [0, 5, 10, 15]
    text = write_report([record], place.folder / "report")["markdown"].read_text()
    assert "asks for frames 1 apart; the labels have them 5 apart" in text
    assert "20 (4 labelled)" in text


def test_a_suite_of_which_every_arm_is_left_out_says_what_can_be_had(place: Place) -> None:
    with pytest.raises(UnlabelledError, match="labelled frames are 5 apart: use strided:every=5"):
        place.bench(dataset=SPARSE, arms=arms(row="successive:n=4"), comparisons=[])
    two = arms(row="window:n=4,short=all", two="window:n=2", far="strided:every=7,n=2")
    with pytest.raises(
        UnlabelledError, match="no arm can be had: left out: the arms row, two: the"
    ):
        place.bench(dataset=SPARSE, arms=two, comparisons=[])


def test_one_labelled_frame_of_each_video_leaves_out_what_asks_for_a_spacing(place: Place) -> None:
    single = f"{DENSE},labelled=every:100"
    given = arms(one="window:n=1", row="window:n=3,every=1", far="strided:every=20")
    compared = [{"a": "one", "b": "row"}]
    bench = place.bench(dataset=single, arms=given, comparisons=compared)
    assert {cell.arm.name for cell in bench.cells} == {"one", "far"}
    assert bench.left_out.notes[0] == (
        "left out: the arm row: it asks for frames 1 apart, and each video has one labelled frame"
    )
    two = arms(row="window:n=3", far="window:n=2,every=5")
    with pytest.raises(UnlabelledError, match="each video has one labelled frame") as failed:
        place.bench(dataset=single, arms=two, comparisons=[])
    assert failed.value.hint == "label more frames of each video"


def test_dense_labels_leave_nothing_out(place: Place) -> None:
    bench = place.bench(dataset=DENSE, arms=arms(row="successive:n=4", far="400"), comparisons=[])
    assert not bench.left_out.errors
    assert {cell.arm.name for cell in bench.cells} == {"row", "far"}  # its cells say why


class Careless:
    """A sampler that looks at no labels."""

    contract: ClassVar[int] = 1

    def sample(self, videos: Any, ctx: Any) -> list[Any]:
        return [ctx.ref(video, 3) for video in videos]


class Foreign:
    """A sampler that takes a frame of a video that it was not given."""

    contract: ClassVar[int] = 1

    def sample(self, videos: Any, ctx: Any) -> list[Any]:
        names = {video.name for video in videos}
        other = next(name for name in ctx.materials if name not in names)
        return [ctx.ref(ctx.materials[other].video, 0)]


@pytest.mark.parametrize("name", ["Careless", "Foreign"])
def test_a_frame_without_training_labels_is_refused_and_the_sampler_named(
    place: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    own = plugins.Plugin("sampler", "theirs", f"{__name__}:{name}", "their-package", "7")
    known = registry.all_plugins()
    monkeypatch.setattr(registry, "all_plugins", lambda: (*known, own))
    bench = place.bench(dataset=SPARSE, arms=arms(theirs="theirs"), comparisons=[])
    cell = bench.cells[0]
    with pytest.raises(PluginError, match=r"theirs.*their-package.*takes frame \d of video syn0"):
        bench.experiments["q"].training(cell.setting, cell.fold)


class Bare:
    """Videos of which the first, or each, has no labelled frame."""

    contract: ClassVar[int] = 1
    name = "bare"

    def __init__(self, empty: int = 1) -> None:
        self.empty = empty

    def videos(self) -> list[Any]:
        found = plugins.create("dataset", parse(DENSE)).videos()
        for video in found[: self.empty]:
            object.__setattr__(video, "labelled", list)
        return found


def test_videos_without_labelled_frames_are_left_out_and_one_is_needed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = plugins.Plugin("dataset", "bare", f"{__name__}:Bare", "tests", "1")
    known = registry.all_plugins()
    monkeypatch.setattr(registry, "all_plugins", lambda: (*known, own))
    bench = place.bench(dataset="bare")
    assert [video.name for video in bench.dataset.videos] == ["syn01", "syn02"]
    assert list(bench.dataset.groups) == ["syn01", "syn02"]
    assert "syn00: no frame is labelled, so the video is left out" in bench.dataset.notes
    with pytest.raises(DataError, match=r"dataset bare.*: no frame of any video is labelled"):
        place.bench(dataset="bare:empty=3")


def test_spacing_notes_count_what_differs() -> None:
    note = spacing_note("it", parse("20"), {"a": [0, 5, 10], "b": [0, 1, 2], "c": [0, 10]})
    assert note == (
        "it asks for frames 1 apart; the labels of a, c have them 5 to 10 apart, 2 to 3 frames of a"
        " video"
    )
    assert spacing_note("it", parse("20"), {"a": [0, 1], "b": [4]}) is None
    assert spacing_note("it", parse("uniform"), {"a": [0, 5]}) is None
