"""The suite engine: resumes, sets failed cells aside, announces what it does."""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil
import signal
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.suites import COUNTS, InTurn, Place, install, mapping, numbers
from vidseg.classifiers.linear.head import LinearHead, score_heads
from vidseg.errors import DataError, Stopped, StoreError
from vidseg.experiment.config import make_config
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.stages import MODEL
from vidseg.suites.cells import select
from vidseg.suites.engine import forget_cells, run_cells
from vidseg.suites.estimate import calibrate
from vidseg.suites.executors.local import Local
from vidseg.suites.plan import make_plan, refusals, waiting_cells
from vidseg.suites.record import cell_content, suite_key, suite_record
from vidseg.suites.worker import context
from vidseg.tasks.segmentation.baselines import fit_baselines
from vidseg.types import Size
from vidseg.utils.progress import Quiet
from vidseg.utils.stop import listening

THREE = {f"syn0{i}" for i in range(3)}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def arms(**given: str) -> dict[str, Any]:
    return {name: {"sampler": sampler} for name, sampler in given.items()}


def pipelines(**given: str) -> dict[str, Any]:
    return {
        name: {"extractor": "filters:octaves=1", "classifier": spec} for name, spec in given.items()
    }


def test_every_cell_is_done_and_the_forwards_are_those_announced(place: Place) -> None:
    bench = place.bench()
    results, plan = place.run(bench)
    assert set(results.finished) == {cell.id for cell in bench.cells}
    assert len(results.finished) == 6
    assert (results.failures, results.reused, COUNTS["fits"]) == ({}, 0, 6)
    # every frame of every video is trained on or tested: once each
    assert plan["forwards_announced"] == results.forwards == 3 * 8
    assert plan["forwards_exact"]
    assert plan["cells_waiting"] == 6
    kept = list((place.folder / "store").rglob("*.vse"))
    assert plan["store_bytes"] == pytest.approx(sum(f.stat().st_size for f in kept), rel=0.01)


def test_resume_does_nothing_twice(place: Place) -> None:
    first, _ = place.run()
    COUNTS.clear()
    again, plan = place.run()
    assert (again.reused, again.forwards, COUNTS["fits"]) == (6, 0, 0)
    assert plan["cells_waiting"] == plan["forwards_announced"] == plan["store_bytes"] == 0
    assert numbers(again) == numbers(first)
    assert {c: f.facts for c, f in again.finished.items()} == {
        c: f.facts for c, f in first.finished.items()
    }


def test_finished_cells_are_read_without_their_models(place: Place) -> None:
    place.run()
    for model in (place.folder / "ledger").rglob("*.safetensors"):
        model.unlink()
    results, _ = place.run()
    assert (results.reused, len(results.finished)) == (6, 6)


@pytest.mark.parametrize("after", [1, 3, 5])
def test_stopped_in_the_middle_and_gone_on(place: Place, after: int, tmp_path: Path) -> None:
    calls = 0

    def stop() -> None:
        nonlocal calls
        if COUNTS["fits"] >= after:
            raise Stopped("stopped by the test")

    bench = place.bench()
    for experiment in bench.experiments.values():
        experiment.stop = stop
    with pytest.raises(Stopped):
        place.run(bench, stop=stop)
    done = COUNTS["fits"]
    results, plan = place.run()
    assert COUNTS["fits"] - done == 6 - after
    assert plan["forwards_announced"] == results.forwards
    whole, _ = Place(tmp_path / "whole").run()
    assert numbers(results) == numbers(whole)


def test_a_signal_stops_a_suite_that_was_given_no_other_stop(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidseg.utils.stop.GRACE_SECONDS", 600)
    told: list[str] = []

    def finished(cell: Any, found: Any) -> None:
        told.append(cell.id)
        if len(told) == 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Stopped, match="stopped by SIGTERM"), listening():
        place.run(on_finished=finished)
    assert len(told) == 2, "the fold in hand was collected"


def test_a_signal_while_the_ledger_is_read_is_no_failure(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = place.bench()
    failed: list[str] = []

    def read(*args: Any, **options: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        while True:
            pass

    monkeypatch.setattr(Ledger, "read", read)
    monkeypatch.setattr("vidseg.utils.stop.GRACE_SECONDS", 0.05)
    with pytest.raises(Stopped), listening():
        run_cells(
            bench,
            bench.cells,
            Local(),
            context={},
            progress=Quiet(),
            on_failed=lambda cell, error: failed.append(error),
        )
    assert failed == []


class Steps:
    """Progress that notes the steps of the suite's own lines."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @contextlib.contextmanager
    def task(self, description: str, total: float | None) -> Iterator[Any]:
        own = description.startswith("tiny: ")
        if own:
            self.seen.append(f"{description.removeprefix('tiny: ')} of {total}")
        yield types.SimpleNamespace(advance=self.advance if own else lambda steps=1: None)

    def advance(self, steps: float = 1) -> None:
        self.seen += [f"+{steps}"] if steps else []

    def say(self, text: str) -> None:
        pass


@pytest.mark.parametrize(
    ("executor", "expected"),
    [
        (
            Local(),
            [
                "fits and scores of 12",
                # each of a fold's 8 test frames is an eighth of the scores of two cells
                *["fit", "+1", "fit", "+1", *["+0.25"] * 8, "cell", "cell"] * 3,
            ],
        ),
        (
            InTurn(),
            [
                *["features of 3", "+1", "+1", "+1"],
                *["fits of 6", *["fit", "+1"] * 6],
                *["scores of 6", *["cell", "cell", "+2"] * 3],
            ],
        ),
    ],
    ids=["local", "elsewhere"],
)
def test_progress_moves_with_every_fit_and_every_score(
    place: Place, executor: Any, expected: list[str]
) -> None:
    bench, steps = place.bench(), Steps()
    run_cells(
        bench,
        bench.cells,
        executor,
        context=context(bench.suite, bench.store, None, place.ledger),
        progress=steps,
        on_fitted=lambda cell: steps.seen.append("fit"),
        on_finished=lambda cell, found: steps.seen.append("cell"),
    )
    assert steps.seen == expected


def test_a_worker_scores_a_few_cells_at_a_time_unless_they_share_forwards(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidseg.suites.engine.TOGETHER", 1)
    scored = {}
    for limit in (None, 0):
        own, executor = Place(place.folder / str(limit)), InTurn()
        bench = own.bench(limit=limit)
        given = context(bench.suite, bench.store, limit, own.ledger)
        run_cells(bench, bench.cells, executor, context=given, progress=Quiet())
        scored[limit] = [len(job.cells) for job in executor.asked if job.stage == "score"]
    assert scored == {None: [1] * 6, 0: [2] * 3}


def test_a_stage_that_cannot_be_read_ends_the_suite_and_is_not_done_again(place: Place) -> None:
    place.run()
    file = next(place.ledger.root.rglob("fit.json"))
    file.unlink()
    file.symlink_to(file)  # of all that cannot be read, this also stops the superuser
    COUNTS.clear()
    with pytest.raises(StoreError, match=r"fit\.json: cannot be read: .*; make it readable"):
        place.run()
    assert COUNTS["fits"] == 0


@pytest.mark.parametrize("executor", [None, InTurn()], ids=["local", "elsewhere"])
def test_failed_cells_are_set_aside(place: Place, executor: Any) -> None:
    bench = place.bench(pipelines=pipelines(q="quick", bad="quick:trouble=fail,videos=syn00"))
    told: list[str] = []
    results, _ = place.run(bench, executor, on_finished=lambda cell, found: told.append(cell.id))
    failed = {c.id for c in bench.cells if c.pipeline == "bad" and "syn00" in c.fold.train}
    assert set(results.failures) == failed
    assert len(failed) == 4
    assert set(results.finished) == {cell.id for cell in bench.cells} - failed
    assert sorted(told) == sorted(results.finished)
    for text in map(str, results.failures.values()):
        assert "this fit fails on purpose" in text
        assert "tests 1 fails" in text
        assert "\n" not in text
    record = suite_record(bench, bench.cells, results, {})
    complete = {setting.name: setting.complete for setting in record.settings}
    assert complete == {"one q": True, "four q": True, "one bad": False, "four bad": False}
    assert [len(setting.failures) for setting in record.settings] == [0, 0, 2, 2]
    assert record.settings[2].group_scores == {}
    assert set(record.settings[0].group_scores) == THREE


@pytest.mark.parametrize("executor", [None, InTurn()], ids=["local", "elsewhere"])
def test_a_model_without_finite_scores_takes_no_other_with_it(place: Place, executor: Any) -> None:
    bench = place.bench(pipelines=pipelines(q="quick", bad="quick:trouble=nan,videos=syn01"))
    results, _ = place.run(bench, executor)
    failed = {c.id for c in bench.cells if c.pipeline == "bad" and "syn01" in c.fold.train}
    assert set(results.failures) == failed
    assert all("not finite" in text for text in map(str, results.failures.values()))
    if executor is not None:  # its model was read from the ledger
        assert all("of ledger" in text for text in map(str, results.failures.values()))
    clean, _ = place.run(place.bench(pipelines=pipelines(q="quick")))
    assert clean.reused == 6


@pytest.mark.parametrize("executor", [None, InTurn()], ids=["local", "elsewhere"])
@pytest.mark.parametrize(
    ("sampler", "reason"),
    [("successive:n=99", "99 frames"), ("refusing", "this sampler fails")],
)
def test_a_sampler_that_refuses_fails_its_cells_only(
    place: Place, sampler: str, reason: str, executor: Any
) -> None:
    bench = place.bench(arms=arms(one="1", four=sampler))
    results, plan = place.run(bench, executor)
    assert {name.split()[0] for name in results.failures} == {"four"}
    assert all(reason in text for text in map(str, results.failures.values()))
    assert len(results.finished) == 3
    assert plan["forwards_announced"] == results.forwards


def test_more_videos_than_a_fold_has_fail_their_cells_only(place: Place) -> None:
    grid = {"sampler": "1", "videos": "{v}", "matrix": {"v": [1, 2, 3]}}
    bench = place.bench(arms={"v{v}": grid}, comparisons=[])
    results, _ = place.run(bench)
    assert {name.split()[0] for name in results.failures} == {"v3"}
    assert all(
        "videos=3, but a fold trains on 2" in text for text in map(str, results.failures.values())
    )
    record = suite_record(bench, bench.cells, results, {})
    assert record.axes == {"v1": {"v": 1}, "v2": {"v": 2}, "v3": {"v": 3}}
    assert calibrate(bench, waiting_cells(bench, bench.cells), {"forwards_announced": 1})


def test_every_cell_failed(place: Place) -> None:
    bench = place.bench(pipelines=pipelines(q="quick:trouble=fail"))
    results, _ = place.run(bench)
    assert len(results.failures) == 6
    record = suite_record(bench, bench.cells, results, {})
    assert not any(setting.complete for setting in record.settings)
    assert record.settings[0].run.headline == {}


@pytest.mark.parametrize("executor", [None, InTurn()], ids=["local", "elsewhere"])
def test_a_full_disk_ends_the_suite(place: Place, executor: Any) -> None:
    bench = place.bench(pipelines=pipelines(a="quick", q="quick:trouble=full"))
    with pytest.raises(StoreError, match=r"disk is full: checkpoint"):
        place.run(bench, executor)
    assert COUNTS["fits"] < 12
    results, _ = place.run(place.bench(pipelines=pipelines(a="quick")))
    assert len(results.finished) == 6


def test_a_ledger_that_cannot_be_written_ends_the_suite(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any) -> None:
        raise StoreError("cannot be written")

    bench = place.bench()
    monkeypatch.setattr("vidseg.experiment.ledger.Ledger.write", refuse)
    with pytest.raises(StoreError):
        place.run(bench)


@pytest.mark.parametrize("classifier", ["sgd:epochs=3", "quick:reading=2"])
def test_forwards_of_noisy_copies_are_announced(place: Place, classifier: str) -> None:
    bench = place.bench(
        arms=arms(one="1", noisy="noised:base=1,copies=3,window=4", fixed="1x20"),
        pipelines=pipelines(q=classifier),
        comparisons=[{"a": "one", "b": "noisy"}],
    )
    results, plan = place.run(bench)
    assert not results.failures
    assert plan["forwards_exact"]
    reads = 2 if classifier.startswith("quick") else None
    if reads:
        assert plan["forwards_announced"] == 24 + 3 * 2 * (3 + 20) * reads
    assert plan["forwards_announced"] == results.forwards


def test_forwards_of_selectors_are_announced(place: Place) -> None:
    from vidseg.samplers.cache import measure_once

    measure_once.cache_clear()
    bench = place.bench(arms=arms(one="1", four="k-center:n=3"), test_stride=4)
    results, plan = place.run(bench)
    assert plan["forwards_announced"] == results.forwards == 24


def test_a_store_without_room_is_said_to_cost_more(place: Place) -> None:
    results, plan = place.run(place.bench(limit=30_000))
    assert not plan["forwards_exact"]
    assert results.forwards > plan["forwards_announced"]
    assert len(results.finished) == 6


def test_features_that_cannot_be_kept_are_not_computed_ahead(place: Place) -> None:
    # nothing is kept: a fit's own reading, the scoring, and one vain trial a training video
    bench = place.bench(limit=1, arms=arms(four="successive:n=4"), comparisons=[])
    results, _ = place.run(bench)
    reading, scoring, trials = 3 * 2 * 4, 3 * 8, 3 * 2
    assert results.forwards == reading + scoring + trials


def test_baselines_of_the_same_frames_are_fitted_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[int] = []

    def counted(train: Any) -> Any:
        fitted.append(len(train.refs))
        return fit_baselines(train)

    monkeypatch.setattr("vidseg.tasks.segmentation.task.fit_baselines", counted)
    results, _ = place.run(place.bench(pipelines=pipelines(p="quick", q="quick:reading=2")))
    assert sorted(fitted) == [2] * 3 + [8] * 3, "of two arms on three folds, not of each pipeline"
    monkeypatch.undo()
    install(monkeypatch)
    alone, _ = Place(place.folder / "alone").run(
        Place(place.folder / "alone").bench(pipelines=pipelines(q="quick:reading=2"))
    )
    both = numbers(results)
    assert {cell: both[cell] for cell in numbers(alone)} == numbers(alone)


def test_elsewhere_gives_the_same_as_here(place: Place, tmp_path: Path) -> None:
    executor = InTurn()
    other, plan = place.run(executor=executor)
    here, _ = Place(tmp_path / "here").run()
    assert numbers(other) == numbers(here)
    assert other.forwards == plan["forwards_announced"] == here.forwards
    stages = [job.stage for job in executor.asked]
    assert stages == ["features"] * 3 + ["fit"] * 6 + ["score"] * 3
    assert pickle.loads(pickle.dumps(executor.asked)) == executor.asked  # noqa: S301


@pytest.mark.parametrize("executor", [None, InTurn()], ids=["local", "elsewhere"])
def test_fresh_does_the_chosen_cells_again_once(place: Place, executor: Any) -> None:
    first, _ = place.run()
    COUNTS.clear()
    bench = place.bench()
    chosen = select(bench.cells, "four q")
    forget_cells(bench, chosen)
    results, plan = place.run(bench, executor)
    assert (COUNTS["fits"], results.reused, plan["cells_waiting"]) == (3, 3, 3)
    assert numbers(results) == numbers(first)


def test_only(place: Place) -> None:
    bench = place.bench()
    results, _ = place.run(bench, cells=select(bench.cells, "*/fold 1/*"))
    assert set(results.finished) == {"one q/fold 1/seed 0", "four q/fold 1/seed 0"}
    assert COUNTS["fits"] == 2


@pytest.mark.parametrize(
    ("changes", "redone"),
    [
        ({"arms": arms(one="1", four="successive:n=3")}, {"four q"}),
        ({"arms": arms(one="1", four="successive:n=4", two="successive:n=2")}, {"two q"}),
        ({"arms": arms(uno="1", four="successive:n=4"), "comparisons": []}, set()),
        ({"comparisons": [], "delta": 0.05, "question": "other?"}, set()),
        ({"pipelines": pipelines(q="quick:reading=2")}, {"one q", "four q"}),
        ({"pipelines": pipelines(q="quick", r="quick")}, set()),
        ({"seeds": [1, 0]}, {"one q", "four q"}),
    ],
)
def test_an_edited_suite_does_exactly_what_changed(
    place: Place, changes: dict[str, Any], redone: set[str]
) -> None:
    place.run()
    COUNTS.clear()
    bench = place.bench(**changes)
    waiting = waiting_cells(bench, bench.cells)
    assert {cell.name for cell in waiting} == redone
    results, _ = place.run(bench)
    assert COUNTS["fits"] == len(waiting) == len(bench.cells) - results.reused
    if "seeds" in changes:
        assert {cell.seed for cell in waiting} == {1}


def test_a_changed_test_side_is_scored_again_without_a_fit(place: Place) -> None:
    place.run()
    COUNTS.clear()
    results, plan = place.run(place.bench(test_stride=2))
    assert (COUNTS["fits"], results.reused, results.forwards) == (0, 0, 0)
    assert plan["cells_waiting"] == len(results.finished) == 6


def test_a_seed_more_keeps_the_folds_of_the_others(place: Place) -> None:
    changes: dict[str, Any] = {
        "split": "k-fold:k=2",
        "dataset": "synthetic:videos=5,frames=8,size=64x48",
    }
    place.run(place.bench(seeds=[3], **changes))
    bench = place.bench(seeds=[1, 3], **changes)
    assert {cell.seed for cell in waiting_cells(bench, bench.cells)} == {1}
    folds = {(cell.fold.index, cell.fold.test) for cell in bench.cells}
    assert len(folds) == 2
    record = suite_record(bench, bench.cells, place.run(bench)[0], {})
    assert [fold.index for fold in record.settings[0].run.folds] == [0, 1, 2, 3]
    assert set(record.settings[0].by_seed) == {1, 3}
    for group, scores in record.settings[0].group_scores.items():
        both = [record.settings[0].by_seed[seed][group]["iou"] for seed in (1, 3)]
        assert scores["iou"] == pytest.approx(sum(both) / 2)


def test_videos_of_an_arm_are_nested_and_seeded(place: Place) -> None:
    grid = {"sampler": "1", "videos": "{v}", "matrix": {"v": [1, 2, 3]}}
    bench = place.bench(
        dataset="synthetic:videos=5,frames=3,size=64x48",
        arms={"v{v}": grid},
        comparisons=[],
        seeds=[0, 1, 2, 3],
    )
    chosen: dict[tuple[int, int], dict[int, set[str]]] = {}
    for cell in bench.cells:
        train = bench.training(cell)
        assert train is not None
        place_ = chosen.setdefault((cell.seed, cell.fold.index), {})
        place_[cell.setting.videos or 0] = {ref.video for ref in train.refs}
        assert not place_[cell.setting.videos or 0] & set(cell.fold.test)
    assert all(len(v[1]) == 1 and v[1] < v[2] < v[3] for v in chosen.values())
    assert len({frozenset(chosen[seed, 0][2]) for seed in range(4)}) > 1


def test_every_fold_draws_for_itself(place: Place) -> None:
    data = "synthetic:videos=4,frames=40,size=64x48"
    arms = {"r": {"sampler": "random:n=5"}, "v": {"sampler": "random:n=5", "videos": 2}}
    bench = place.bench(dataset=data, arms=arms, comparisons=[])
    drawn: dict[str, set[tuple[int, ...]]] = {}
    for cell in bench.cells:
        train = bench.training(cell)
        assert cell.arm.name == "v" or train is not None
        for video in {ref.video for ref in train.refs} if train else ():
            own = tuple(ref.index for ref in train.refs if ref.video == video)
            drawn.setdefault(f"{cell.arm.name} {video}", set()).add(own)
    assert all(len(drawn[f"r syn0{i}"]) == 3 for i in range(4)), "three folds train on each video"
    results, plan = place.run(bench)
    random, some = suite_record(bench, bench.cells, results, plan).settings
    assert {video: len(frames) for video, frames in random.frames.items()} == {
        f"syn0{i}": 5 for i in range(4)
    }
    assert [len(frames) for frames in some.frames.values()] == [5, 5]


def test_fewer_than_two_groups(place: Place) -> None:
    with pytest.raises(DataError, match="needs two groups, the data set has 1"):
        place.bench(dataset="synthetic:videos=1,frames=8,size=64x48")


def test_a_video_without_positives_leaves_both_arms(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = place.bench()
    for experiment in bench.experiments.values():
        material = experiment.materials["syn02"]
        mask = material.mask

        def empty(index: int, mask: Any = mask) -> Any:
            found = mask(index).copy()
            found[:] = -1
            return found

        monkeypatch.setattr(material, "mask", empty)
    results, _ = place.run(bench)
    record = suite_record(bench, bench.cells, results, {})
    for setting in record.settings:
        assert "iou" not in setting.group_scores["syn02"]
        assert "iou" in setting.group_scores["syn00"]
    assert record.settings[0].run.per_video[2]["iou"] is None
    assert any("no foreground pixel in syn02" in note for note in record.notes)


def test_arms_that_took_the_same_frames_are_named(place: Place) -> None:
    bench = place.bench(
        arms=arms(one="20:short=all", four="400:short=all", noisy="noised:base=[20:short=all]"),
        comparisons=[{"a": "one", "b": "four"}, {"a": "one", "b": "noisy"}],
    )
    results, _ = place.run(bench)
    record = suite_record(bench, bench.cells, results, {})
    found = record.comparisons
    assert set(found[0].same_frames) == THREE
    assert found[1].same_frames == []
    trained = {one.name: one.trained for one in record.settings}
    assert trained[found[0].a] == trained[found[0].b]
    assert set(trained[found[0].a]) == THREE
    assert not set(trained[found[1].a].values()) & set(trained[found[1].b].values())


def test_cells_of_another_machine(place: Place, tmp_path: Path) -> None:
    bench = place.bench()
    results, _ = place.run(bench)
    sent = [cell_content(c, results.finished[c.id]) for c in bench.cells[:5]]
    sent = json.loads(json.dumps(sent))
    COUNTS.clear()
    other = Place(tmp_path / "other")
    there = other.bench()
    experiment = there.experiments["q"]
    for cell in sent:
        assert experiment.restore(cell)
        assert experiment.restore(cell), "twice does no harm"
    again, plan = other.run(there)
    assert (again.reused, COUNTS["fits"], plan["cells_waiting"]) == (5, 1, 1)
    assert numbers(again) == numbers(results)
    # a head that is not there is fitted again when it is needed
    COUNTS.clear()
    strided, plan = other.run(other.bench(test_stride=2))
    assert COUNTS["fits"] == 5
    assert plan["forwards_announced"] == strided.forwards
    assert numbers(strided) == numbers(place.run(place.bench(test_stride=2))[0])


@pytest.mark.parametrize(
    "damage",
    [
        {"key": "../../etc"},
        {"key": None},
        {"counts": {MODEL: [{"video": "a"}]}},
        {"counts": None},
        {"curves": [[1]]},
        {"facts": {"a": "x"}},
        {"facts": []},
        {"score_inputs": 5},
    ],
)
def test_damaged_cells_are_not_restored(place: Place, damage: dict[str, Any]) -> None:
    bench = place.bench()
    results, _ = place.run(bench, cells=bench.cells[:1])
    cell = bench.cells[0]
    content = cell_content(cell, results.finished[cell.id])
    experiment = bench.experiments["q"]
    shutil.rmtree(place.folder / "ledger")
    assert not experiment.restore({**content, **damage})
    assert experiment.finished(cell.setting, cell.fold) is None
    facts = {**content["facts"], "nothing": None}
    assert experiment.restore({**content, "facts": facts, "curves": [["loss", None, 0]]})
    found = experiment.finished(cell.setting, cell.fold)
    assert found is not None
    assert (found.curves, "nothing" in found.facts) == ([], False)


def test_pipelines_with_the_same_features_share_them(place: Place) -> None:
    both = pipelines(q="quick", r="quick:reading=2")
    other = {"extractor": "filters:octaves=2", "classifier": "quick"}
    bench = place.bench(pipelines={**both, "other": other})
    assert bench.experiments["q"] is bench.experiments["r"]
    assert bench.experiments["q"] is not bench.experiments["other"]
    results, plan = place.run(bench)
    assert len(results.finished) == 18
    assert plan["forwards_announced"] == results.forwards == 2 * 24
    for cell in bench.cells:  # each is what a suite of its pipeline alone would do
        alone = place.bench(pipelines={cell.pipeline: {**both, "other": other}[cell.pipeline]})
        (same,) = [one for one in alone.cells if one.id == cell.id]
        key = alone.experiments[same.pipeline].key(same.setting, same.fold)
        assert key == results.finished[cell.id].key


def test_leakage_splits_side_by_side(place: Place) -> None:
    bench = place.bench(
        arms={
            "one": {"sampler": "uniform:n=3,short=all", "split": "leave-one-group-out"},
            "four": {"sampler": "uniform:n=3,short=all", "split": "frame:k=2"},
        }
    )
    results, _ = place.run(bench)
    assert not results.failures
    record = suite_record(bench, bench.cells, results, {})
    assert [len(setting.run.folds) for setting in record.settings] == [3, 2]
    assert [set(s.group_scores) for s in record.settings] == [THREE, THREE]
    assert [row["frames"] for s in record.settings for row in s.run.per_video] == [8] * 6
    assert record.comparisons[0].same_frames == []


def test_a_split_by_frame_that_holds_out_all_that_a_sampler_took(place: Place) -> None:
    arms = {"one": {"sampler": "1"}, "four": {"sampler": "successive:n=4"}}
    bench = place.bench(arms=arms, split="frame:k=2")
    said = refusals(bench, bench.cells)
    assert said.keys() == {"one q/fold 0/seed 0"}
    (line,) = said.values()
    assert line.startswith("sampler ")
    assert line.endswith(
        "every frame that it took, 3 in all, is in the part that the split frame:k=2 holds out; "
        "choose a sampler that takes more frames, or a split by group"
    )


def test_the_suites_key_follows_what_it_does(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    key = suite_key(place.bench())
    assert suite_key(place.bench()) == key
    assert suite_key(place.bench(seeds=[1])) != key
    assert suite_key(place.bench(dataset="synthetic:videos=3,frames=9,size=64x48")) != key
    too_many = {"sampler": 1, "videos": 9}
    assert suite_key(place.bench(arms={"one": too_many, "four": too_many})) != key
    monkeypatch.setattr("vidseg.experiment.keys.package_versions", lambda: {"torch": "another"})
    assert suite_key(place.bench()) != key, "MLflow would show the larger of two numbers"


def test_the_plan_of_a_suite_that_did_not_start(place: Place) -> None:
    bench = place.bench()
    plan = make_plan(bench, bench.cells)
    assert plan["cells_waiting"] == 6
    material = bench.experiments["q"].materials["syn00"]
    assert plan["training_bytes"] == 8 * material.stored_features.nbytes
    assert not list((place.folder / "ledger").rglob("*.json"))
    times = calibrate(bench, bench.cells, plan)
    assert 0 < times["seconds_forwards"] < 60
    assert 0 < times["seconds_scoring"] < 60


@pytest.mark.parametrize("split", ["frame:k=3", "block:k=2"])
def test_a_run_that_is_split_by_frame_has_each_video_once(place: Place, split: str) -> None:
    suite = mapping()
    options = {key: suite[key] for key in ("dataset", "image_size", "device", "threads")}
    config = make_config({**options, **suite["pipelines"]["q"], "sampler": "all", "split": split})
    record = place.run_one(config)
    assert [row["video"] for row in record.per_video] == sorted(THREE)
    assert [row["frames"] for row in record.per_video] == [8, 8, 8]
    assert record.overlays


def test_scores_of_a_model_do_not_depend_on_its_company() -> None:
    rng = np.random.default_rng(0)
    shapes = [(64, 40, 60), (33, 11, 17)]
    features = tuple(rng.normal(size=shape).astype(np.float16) for shape in shapes)
    weights = [[rng.normal(size=s[0]).astype(np.float32) for s in shapes] for _ in range(9)]
    heads = [LinearHead(tuple(rows), 0.1, (0, 1), "", {}) for rows in weights]
    together = score_heads(heads, features, Size(40, 60))
    for head, scores in zip(heads, together, strict=True):
        np.testing.assert_array_equal(score_heads([head], features, Size(40, 60))[0], scores)
