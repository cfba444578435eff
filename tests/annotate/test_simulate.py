"""The simulated annotator: what is counted, who finds what is to be mended, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import vidseg
from tests.annotate.test_batch import sequence
from tests.helpers.moving import arc
from tests.labels.test_propagated import Film
from vidseg.annotate import simulation
from vidseg.cli.annotate import Annotate, annotate
from vidseg.errors import DataError, Stopped, UsageError
from vidseg.labels.replay import KnownRuns, Rules, Tally, by_hand, replay_forward, replay_keys
from vidseg.labels.true_tracks import TrueTrack, Truth, read_truth
from vidseg.trackers.base import TrackerSource
from vidseg.utils.progress import Quiet

STILL, LK = TrackerSource.of("still"), TrackerSource.of("lk")
STEP = [(10, 10)] * 10 + [(100, 50)] * 10
"""The patch jumps once."""


def forward(film: Film, tracker: TrackerSource = STILL, **rules: float) -> Tally:
    return replay_forward(read_truth(film), tracker, Rules(**rules), Quiet())


def keys(film: Film, method: str, ask: str, tracker: TrackerSource = LK, **rules: float) -> Tally:
    return replay_keys(read_truth(film), tracker, method, ask, Rules(**rules), Quiet())


def test_the_first_box_and_every_correction_count():
    tally = forward(Film(STEP))
    assert (tally.drawn, tally.frames, tally.objects, tally.overlap) == (2, 20, 1, 20.0)
    again = forward(Film([*STEP[:5], None, *STEP[5:]]))
    assert (again.drawn, again.frames, again.objects) == (3, 20, 2)
    drift = forward(Film([(10 + i, 10) for i in range(20)]))  # 36 wide: below .5 from 12 on
    assert drift.drawn == 2
    assert forward(Film(arc(20)), LK).drawn == 1


def test_key_boxes_of_the_last_frame_count_too():
    still = Film([(10, 10)] * 50)
    for ask in ("truth", "doubt"):
        tally = keys(still, "linear", ask, every=20)
        assert tally.drawn == 4  # frames 0, 20, 40, 49
        assert tally.overlap == pytest.approx(50)
    assert by_hand(read_truth(still), Rules(every=20))["key frames"].drawn == 4
    assert by_hand(read_truth(still), Rules(every=20))["every frame"].drawn == 50


def test_the_worst_frame_is_mended_first():
    # a bend in the middle of one gap: one box there is enough, one at the first bad frame is not
    bend = [(10 + 4 * i, 10) for i in range(11)] + [(50, 10 + 4 * i) for i in range(1, 11)]
    tally = keys(Film(bend), "linear", "truth", every=20)
    assert tally.drawn == 3
    assert tally.overlap == pytest.approx(21)
    assert tally.wrong == 0


def test_all_boxes_are_right_where_truth_asks_and_looks_are_few_where_doubt_does():
    for path in (STEP, arc(25)):
        by_truth = keys(Film(path), "auto", "truth")
        assert by_truth.wrong == 0
        assert by_truth.looks == len(path)
        assert by_truth.overlap <= len(path)
        by_doubt = keys(Film(path), "auto", "doubt")
        assert by_doubt.looks < len(path)
        assert by_doubt.drawn <= by_truth.drawn + 1
    assert keys(Film(STEP), "linear", "doubt", doubt=0.3).drawn > 2


def test_a_frame_that_is_doubted_and_right_is_looked_at_only():
    film = Film([(10, 10)] * 9)
    film.frames = Film([(10, 10), *[(100, 50)] * 7, (10, 10)]).frames  # the picture misleads
    tally = keys(film, "linear", "doubt", doubt=0.01)
    assert tally.drawn == 2
    assert tally.looks <= 3
    assert tally.wrong == 0


def test_runs_are_shared_by_methods():
    film, known = Film(arc(25)), KnownRuns()
    truth = read_truth(film)
    replay_keys(truth, LK, "auto", "truth", Rules(), Quiet(), known)
    count = len(film.clip.read)
    replay_keys(truth, LK, "blend", "truth", Rules(), Quiet(), known)
    assert len(film.clip.read) == count
    lines = Film(arc(25))
    replay_keys(read_truth(lines), LK, "linear", "truth", Rules(), Quiet())
    assert not lines.clip.read


def test_straight_truth_is_counted():
    rows = np.array([(0, 0, 5, 5), (2, 0, 5, 5), (4, 0.2, 5, 5), (6, 0.2, 5, 5), (9, 0, 5, 5)])
    truth = Truth(None, None, [TrueTrack(0, rows), TrueTrack(3, rows[:1])])
    assert truth.straight == (2, 3)


def test_truth_on_some_frames_is_refused():
    with pytest.raises(DataError, match=r"film: no object has true boxes on consecutive frames"):
        read_truth(Film(arc(20), known=[0, 5, 10]))


def test_the_command_prints_writes_and_logs(tmp_path: Path, tracking: str):
    import mlflow

    sequence(tmp_path, "a", arc(13))
    words = ["simulate", "--dataset", f"mot:{tmp_path}", "--every", "12", "--tracker", "still"]
    words += ["--json", str(tmp_path / "found.json"), "--tracking-uri", tracking]
    words += ["--store", str(tmp_path / "store"), "--quiet"]
    done = CliRunner().invoke(annotate, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "13 true boxes of 1 object" in done.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["settings"]["tracker"] == "still"
    rows = {(row["way"], row["ask"]): row for row in found["rows"]}
    assert rows["every frame", "by hand"]["boxes_per_100"] == 100
    assert rows["key frames", "by hand"]["drawn"] == 2
    assert rows["forward", "truth"]["wrong_share"] == 0
    (run,) = mlflow.MlflowClient(tracking).search_runs(
        [mlflow.get_experiment_by_name("vidseg").experiment_id]
    )
    logged = run.data.metrics["annotator/forward-truth/boxes_per_100"]
    assert logged == pytest.approx(rows["forward", "truth"]["boxes_per_100"])
    assert run.data.params["annotator.tracker"] == "still"


def test_a_simulation_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    videos = "synthetic:videos=2,frames=9,size=64x48"
    replayed: list[str] = []
    stops = 3

    def watched(of):
        def replay(truth, *rest):
            if len(replayed) == stops:
                raise Stopped("stopped by the test")
            replayed.append(truth.video.name)
            return of(truth, *rest)

        return replay

    monkeypatch.setattr(simulation, "replay_forward", watched(simulation.replay_forward))
    monkeypatch.setattr(simulation, "replay_keys", watched(simulation.replay_keys))

    def simulated(store: str, **rules):
        return vidseg.simulate_annotator(
            videos, methods=["forward", "linear"], store=tmp_path / store, tracking=False, **rules
        ).to_dict()

    with pytest.raises(Stopped):
        simulated("a")
    stops = -1
    found = simulated("a")
    assert replayed == ["syn00"] * 3 + ["syn01"] * 3, "what was finished is not done again"
    assert found == simulated("a")
    assert len(replayed) == 6
    assert found == simulated("b")
    assert len(replayed) == 12
    simulated("a", threshold=0.6)
    assert len(replayed) == 18, "under other rules it is"


def test_values_out_of_range_are_refused():
    for wrong in ({"threshold": 1.5}, {"doubt": 0}, {"every": 0}, {"methods": "best"}):
        with pytest.raises(UsageError):
            vidseg.simulate_annotator("synthetic", tracking=False, **wrong)


def test_a_word_that_is_no_command_is_the_pages():
    import click

    called = []
    group = Annotate("annotate")
    group.add_command(click.Command("simulate", callback=lambda: called.append("simulate")))
    page = click.Command(
        "page", params=[click.Argument(["video"])], callback=lambda video: called.append(video)
    )
    runner = CliRunner()
    assert runner.invoke(group, ["clip.mp4"]).exit_code == 2
    group.add_command(page)
    runner.invoke(group, ["clip.mp4"], catch_exceptions=False)
    runner.invoke(group, ["simulate"], catch_exceptions=False)
    assert called == ["clip.mp4", "simulate"]
