"""The benchmarks run, and their judges and arithmetic are right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import torch

from benchmarks import _loops, _ways, aa_study, networks, statistics
from benchmarks._judge import Judge
from benchmarks._runs import seconds_to
from tests.helpers.training import TinyHandle, TinyTraining
from tests.helpers.trees import mot_sequence
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.points import PointSet
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.datasets.mot import Mot
from vidseg.extractors.timm import Timm

ROOT = Path(__file__).parents[2]


def test_judge_agrees_with_the_points_of_the_solvers() -> None:
    train, handle = TinyTraining(), TinyHandle()
    judge = Judge.of(train, handle)  # type: ignore[arg-type]
    transform = Standardisation.compute(train, FitContext(), handle.levels)
    x, y = PointSet(train, transform, handle.levels).gather(FitContext())
    np.testing.assert_allclose(judge.points[:, :-1].numpy(), x, atol=1e-4)
    np.testing.assert_array_equal(judge.labels.numpy(), y)
    assert (judge.points[:, -1] == 1).all()


@pytest.mark.parametrize("cost", [0.01, 1.0])
def test_judge_finds_the_optimum(cost: float) -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=(300, 4)), np.ones(300)]).astype(np.float32)
    y = np.sign(x[:, 0] + rng.normal(size=300))
    judge = Judge(torch.from_numpy(x), torch.from_numpy(y.astype(float)))
    found, error = judge.optimum(np.zeros(5), cost, 1e-10)
    assert error <= 1e-10

    def objective(w: np.ndarray) -> float:
        return float(w @ w / 2 + cost * (np.maximum(0, 1 - y * (x @ w)) ** 2).sum())

    best = scipy.optimize.minimize(objective, np.zeros(5), options={"gtol": 1e-9})
    np.testing.assert_allclose(found, best.x, atol=1e-5)
    assert judge.objective(found, cost, "squared_hinge") == pytest.approx(best.fun, rel=1e-8)
    hinge = cost * np.maximum(0, 1 - y * (x @ found)).sum() + found @ found / 2
    assert judge.objective(found, cost, "hinge") == pytest.approx(hinge, rel=1e-6)


def test_seconds_to_a_gap_are_interpolated() -> None:
    curve = [(1.0, 1e-1), (4.0, 1e-3), (5.0, 1e-9)]
    assert seconds_to(curve, 0.5) == (1.0, True)
    seconds, bound = seconds_to(curve, 1e-2) or (0.0, True)
    assert seconds == pytest.approx(2.0)  # half way in log gap: half way in log seconds
    assert not bound
    assert seconds_to(curve, 1e-3) == (pytest.approx(4.0), False)
    assert seconds_to(curve, 1e-12) is None
    # a tighter rung that was faster: its own time, never less
    assert seconds_to([(2.0, 1e-1), (1.5, 1e-4)], 1e-2) == (1.5, False)


@pytest.mark.slow
def test_svm_quick(tmp_path: Path) -> None:
    table, plot = tmp_path / "svm.json", tmp_path / "svm.png"
    command = [sys.executable, "-m", "benchmarks.svm", "--quick", "--samples", str(tmp_path)]
    done = subprocess.run(
        [*command, "--json", str(table), "--plot", str(plot)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "GENERATED clips" in done.stdout
    result = json.loads(table.read_text())
    squared = next(ref for ref in result["references"] if ref["loss"] == "squared_hinge")
    exact = [run for run in result["runs"] if run["method"] == "pixel_svm"]
    best = min(run["objective"] for run in exact if run["loss"] == "squared_hinge")
    assert squared["error"] <= 1e-8
    assert -1e-7 <= best / squared["optimum"] - 1 < 1e-4
    assert 0 <= result["bandwidth"]["share"] < 1
    assert [row["name"] for row in result["alternative"]["rows"]][-1] == "pixel_svm, 100%, C=10000"
    assert plot.stat().st_size > 10_000


def benchmark(name: str, *options: str) -> str:
    """Run a benchmark to its end, and return what it printed."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_clock_charges_the_innermost_section(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(_ways, "cpu_seconds", lambda: now[0])
    clock = _ways.Clock()
    now[0] = 1.0
    with clock.section("sgd"):
        now[0] = 3.0
        with clock.section("forwards"):
            now[0] = 7.0
        now[0] = 15.0
    now[0] = 31.0
    clock.charge()
    assert clock.seconds == {
        "forwards": 4.0, "pixel_svm": 0.0, "sgd": 10.0, "scoring": 0.0, "other": 17.0
    }  # fmt: skip


def test_sequences_are_cut_with_their_boxes(tmp_path: Path) -> None:
    for name, frames in (("long", 5), ("short", 2), ("third", 2)):
        mot_sequence(tmp_path / "whole", name, frames=frames)
    cut = _ways.cut(tmp_path / "whole", tmp_path / "cut", 2, 3)
    found = {video.name: video for video in Mot(str(cut)).videos()}
    assert {name: video.probe().length for name, video in found.items()} == {"long": 3, "short": 2}
    assert not [note for video in found.values() for note in video.notes]
    before = next(v for v in Mot(str(tmp_path / "whole")).videos() if v.name == "long")
    np.testing.assert_array_equal(found["long"].labels(2).boxes, before.labels(2).boxes)


def test_sharing_quick(tmp_path: Path) -> None:
    path = tmp_path / "sharing.json"
    said = benchmark("sharing", "--quick", "--samples", str(tmp_path), "--json", str(path))
    assert "GENERATED videos" in said
    rows = {row["way"]: row for row in json.loads(path.read_text())}
    # two videos of six frames, all of them tested; two arms with two classifiers
    assert rows["suite"]["forwards"] == 2 * 6
    assert rows["stores"]["forwards"] == 4 * 2 * 6
    assert rows["nothing"]["forwards"] > 4 * 2 * 6
    assert all(row["seconds"]["sgd"] > 0 for row in rows.values())


def test_trackers_quick(tmp_path: Path) -> None:
    path = tmp_path / "trackers.json"
    said = benchmark("trackers", "--quick", "--samples", str(tmp_path), "--json", str(path))
    assert "| generated | lk | auto |" in said
    found = json.loads(path.read_text())
    rows = {(row["tracker"], row["method"]): row for row in found["rows"]}
    assert rows["still", "linear"]["boxes"] == rows["lk", "linear"]["boxes"]
    assert rows["lk", "forward"]["boxes"] < rows["still", "forward"]["boxes"] <= 100
    assert all(0.5 <= row["iou"] <= 1 for row in rows.values())
    assert [row["tracker"] for row in found["times"]] == ["still", "lk"]


def test_regularisation_quick(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    benchmark("regularisation", "--quick", "--json", str(path))
    rows = json.loads(path.read_text())
    # four videos are four folds; every one is tested once with each setting and C
    for arm in ("1", "20:short=all"):
        for cost in (1, 100):
            own = [row for row in rows if (row["arm"], row["C"]) == (arm, cost)]
            assert len(own) == 4
            assert len({video for row in own for video in row["scores"]}) == 4
    mean = np.mean([s for row in rows if row["arm"] == "1" for s in row["scores"].values()])
    assert 0.05 < mean < 0.9


def test_aa_study_quick(tmp_path: Path) -> None:
    path = tmp_path / "aa.json"
    options = ["--study", "A/A", "--sets", "2", "--groups", "3", "--json", str(path)]
    benchmark("aa_study", *options)
    (row,) = json.loads(path.read_text())
    assert (row["study"], row["data sets"]) == ("A/A", 2)
    assert row["significant"] == 0  # three groups show nothing
    assert 0 < abs(row["mean difference"]) < 0.5


def test_aa_study_draws_anew_for_every_set_and_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def scores(experiment: object, sampler: str, seed: int, videos: int | None) -> dict[str, float]:
        seeds.append(seed)
        return {str(group): float(seed * group % 7) for group in range(8)}

    monkeypatch.setattr(aa_study, "open_set", lambda *given: None)
    monkeypatch.setattr(aa_study, "group_scores", scores)
    for number in range(5):
        aa_study.one_comparison(number, 8, aa_study.STUDIES["A/A"])
    assert len(set(seeds)) == len(seeds) == 10


def test_duplicates_are_counted(tmp_path: Path) -> None:
    from benchmarks.duplicates import measure, report

    result = measure(tmp_path / "absent", quick=True, count=2)
    rows = {row["what"]: row for row in result["rows"]}
    assert rows["mirrored"]["features"] == {"merged": 2, "listed": 0}
    assert rows["mirrored"]["hash"]["listed"] == 0
    assert rows["different scenes"]["features"] == {"merged": 0, "listed": 0}
    assert "| mirrored | 2 | 0 | 2 | 0 |" in report(result)


def test_the_benchmark_of_networks_compares_ways_of_one_size(tmp_path: Path) -> None:
    """Steps, loaders and data paths of both do what they are timed for; nothing is measured."""
    given = networks.options(["--quick", "--samples", str(tmp_path)])
    given.device, given.precision, given.workers = "cpu", "32", 0
    handle = Timm(given.encoder, weights="random")
    clips = _loops.open_clips("480p", tmp_path, tmp_path, handle, given.frames)
    assert not clips.real
    images, labels = _loops.Jpegs(clips, None, 4)[1]
    ref = clips.train.refs[1]
    np.testing.assert_array_equal(labels, clips.train.mask(ref))
    expected = clips.train.frame(ref).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(images, expected, atol=0.02)
    ways = networks.Networks(given, handle, clips, tmp_path)
    one, other = ways.parameters.values()
    assert 0.5 < one / other < 2
    before = [p.clone() for p in ways.net.parameters()]
    bare, usual = ways.training()
    assert bare["(a) bare step"]() > 0
    assert any(not torch.equal(p, q) for p, q in zip(before, ways.net.parameters(), strict=True))
    assert bare["vidseg"]() > 0
    assert usual.keys() == {"vidseg", "(b) JPEG loader", "(c) smp, JPEG loader"}
    assert all(way() > 0 for way in networks.paths(clips, given).values())


def test_ratios_have_intervals_of_order_statistics() -> None:
    ours, theirs = [1.0 + k for k in range(20)], [1.0] * 20
    middle, low, high, level = networks.ratio(ours, theirs)
    assert (middle, low, high) == (10.5, 6.0, 15.0)
    assert level == pytest.approx(0.9586, abs=1e-4)
    assert networks.ratio([3.0, 1.0], [1.0, 1.0])[1:] == (1.0, 3.0, 0.5)


def test_the_curve_study_survives_curves_without_a_flattening_point(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vidseg import stats

    fallen = stats.fit_gain_curve(
        [1, 2, 5, 10, 20], {g: [0.3, 0.42, 0.55, 0.52, 0.50] for g in "abcd"}
    )
    assert fallen.flattens is None
    monkeypatch.setattr(statistics, "_curve", lambda *_: fallen)
    rows = list(statistics.curves(np.random.default_rng(0), 2))
    assert {row["point named"] for row in rows} == {0.0}
    assert all(np.isnan(row["covered"]) for row in rows)
