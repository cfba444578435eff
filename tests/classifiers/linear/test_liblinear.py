"""liblinear in its own process, against a direct call on materialised points."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from liblinear.liblinearutil import train as train_directly
from pydantic import ValidationError, validate_call
from scipy.sparse import csr_matrix

from tests.helpers.training import TinyHandle, TinyTraining
from vidseg.classifiers.base import Budget, FitContext
from vidseg.classifiers.linear import liblinear as module
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.liblinear import Liblinear
from vidseg.classifiers.linear.points import PointSet
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.errors import DataError, ResourceError, Stopped
from vidseg.types import Features, FrameRef, Mask
from vidseg.utils.stop import check_stop, listening

HANDLE = TinyHandle()


def context(tmp_path: Path, **options: object) -> FitContext:
    return FitContext(workdir=tmp_path / "cell", **options)  # type: ignore[arg-type]


def points_of(train: TinyTraining, standardise: bool = True) -> tuple[np.ndarray, np.ndarray]:
    transform = Standardisation.identity(HANDLE.channels)
    if standardise:
        transform = Standardisation.compute(train, FitContext(), HANDLE.levels)
    return PointSet(train, transform, HANDLE.levels).gather(FitContext())


def direct(x: np.ndarray, y: np.ndarray, options: str) -> tuple[np.ndarray, float]:
    model = train_directly(y.astype(float), csr_matrix(x.astype(float)), options + " -q")
    weights, bias = model.get_decfun()
    sign = 1 if model.get_labels()[0] == 1 else -1
    return sign * np.array(weights), sign * bias


@pytest.mark.parametrize("solver", [1, 2, 3, 6, 7])
def test_equals_a_direct_call(solver: int, tmp_path: Path) -> None:
    train, ctx = TinyTraining(), context(tmp_path)
    head = Liblinear(solver=solver, C=50.0, epsilon=1e-6, positive_weight=2.0).fit(
        train, HANDLE, ctx
    )
    x, y = points_of(train)
    cost = 50.0 / float((y > 0).sum() * 2.0 + (y < 0).sum())
    weights, bias = direct(x, y, f"-s {solver} -c {cost!r} -w1 2 -B 1 -e 0.000001")
    # all but the Newton method visit in an order that depends on the process's random state
    close = 1e-7 if solver == 2 else 1e-3
    np.testing.assert_allclose(head.warm["weight"], weights, atol=close)
    assert head.warm["bias"][0] == pytest.approx(bias, abs=close)
    scores = [head.scores(train.features(ref), train.mask_size).ravel() for ref in train.refs]
    valid = [train.mask(ref).ravel() != 0 for ref in train.refs]
    flat = np.concatenate([s[v] for s, v in zip(scores, valid, strict=True)])
    np.testing.assert_allclose(flat, x @ head.warm["weight"] + head.warm["bias"], atol=1e-4)
    assert ctx.facts["points"] == len(y)
    assert ctx.facts["dimensions"] == 15
    assert ctx.facts["point_bytes"] == len(y) * 17 * 24
    assert ctx.facts["iterations"] >= 1
    assert ctx.facts["peak_bytes"] > 1e7


def test_objective_is_liblinears_own(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    head = Liblinear(C=0.01, C_mode="sum", epsilon=1e-6).fit(TinyTraining(), HANDLE, ctx)
    x, y = points_of(TinyTraining())
    w, b = head.warm["weight"], head.warm["bias"][0]
    hinge = np.maximum(0, 1 - y * (x.astype(float) @ w + b))
    objective = (w @ w + b * b) / 2 + 0.01 * (hinge**2).sum()
    assert ctx.facts["objective"] == pytest.approx(objective, rel=1e-6)
    # the gradient vanishes, so it is the minimum and not just some value
    pull = 0.02 * (y * hinge)
    np.testing.assert_allclose(w, pull @ x, atol=1e-3)
    assert b == pytest.approx(pull.sum(), abs=1e-3)


def test_mean_mode_does_not_depend_on_repeats(tmp_path: Path) -> None:
    once = TinyTraining()
    twice = TinyTraining(refs=tuple(once.refs) * 2)
    options = {"C": 100.0, "epsilon": 1e-8}
    first = Liblinear(**options).fit(once, HANDLE, context(tmp_path))
    second = Liblinear(**options).fit(twice, HANDLE, context(tmp_path))
    np.testing.assert_allclose(first.warm["weight"], second.warm["weight"], rtol=1e-4, atol=1e-6)
    assert Liblinear(**options, positive_weight=3.0).cost((10, 20)) == 100 / 50
    assert Liblinear(**options, C_mode="sum").cost((10, 20)) == 100


def test_options_without_bias_and_standardisation(tmp_path: Path) -> None:
    train = TinyTraining()
    head = Liblinear(bias=-1.0, standardise=False, C=1.0, C_mode="sum", epsilon=1e-3).fit(
        train, HANDLE, context(tmp_path)
    )
    weights, _ = direct(*points_of(train, standardise=False), "-s 2 -c 1 -e 0.001")
    assert head.bias == 0
    np.testing.assert_allclose(np.concatenate(head.weights), weights, rtol=1e-5, atol=1e-6)


def test_pixels_per_frame_and_repeatability(tmp_path: Path) -> None:
    train = TinyTraining()
    fits = []
    for _ in range(2):
        ctx = context(tmp_path, seed=3)
        fits.append(Liblinear(pixels_per_frame=60).fit(train, HANDLE, ctx))
        assert ctx.facts["points"] == 240
    np.testing.assert_array_equal(fits[0].weights[0], fits[1].weights[0])


def test_chosen_levels_and_round_trip(tmp_path: Path) -> None:
    train = TinyTraining(levels=(0, 2))
    classifier = Liblinear(levels=[2, 0])
    assert classifier.levels(HANDLE) == (0, 2)
    head = classifier.fit(train, HANDLE, context(tmp_path))
    assert head.levels == (0, 2)
    again = classifier.load(head.export(), HANDLE)
    assert isinstance(again, LinearHead)
    features = train.features(train.refs[0])
    np.testing.assert_array_equal(
        again.scores(features, train.mask_size), head.scores(features, train.mask_size)
    )
    with pytest.raises(DataError, match="trained on extractor"):
        classifier.load(head.export(), TinyHandle(seed=1))
    assert list((tmp_path / "cell").iterdir()) == []


def test_refuses_what_does_not_fit(tmp_path: Path) -> None:
    train = TinyTraining()
    ctx = context(tmp_path, memory_budget=200_000)
    with pytest.raises(ResourceError, match=r"points x 17 values x 24 bytes") as found:
        Liblinear().fit(train, HANDLE, ctx)
    assert train.visits == []
    number = int(str(found.value).split("pixels_per_frame=")[1].split(",")[0])
    Liblinear(pixels_per_frame=number).fit(train, HANDLE, ctx)
    assert ctx.facts["point_bytes"] <= 200_000


def test_refuses_one_class_and_bad_features(tmp_path: Path) -> None:
    class AllBackground(TinyTraining):
        def mask(self, ref: FrameRef) -> Mask:
            return -np.abs(super().mask(ref))

    class AllIgnored(TinyTraining):
        def mask(self, ref: FrameRef) -> Mask:
            return 0 * super().mask(ref)

    def spoil(ref: FrameRef, features: Features) -> Features:
        return (features[0] * np.float16(np.nan), *features[1:])

    with pytest.raises(DataError, match="no foreground pixel"):
        Liblinear().fit(AllBackground(), HANDLE, context(tmp_path))
    with pytest.raises(DataError, match="no foreground and background pixel"):
        Liblinear().fit(AllIgnored(), HANDLE, context(tmp_path))
    for standardise in (True, False):
        with pytest.raises(DataError, match="video a, frame 0, level tiny0"):
            Liblinear(standardise=standardise).fit(
                TinyTraining(spoil=spoil), HANDLE, context(tmp_path)
            )


SLEEP = "import time; time.sleep(60)"


def child_that(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "child.py"
    path.write_text(code)
    monkeypatch.setattr(module, "CHILD", path)


def test_stopping_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_that("import os,sys,pathlib,time\n"
               "pathlib.Path(sys.argv[1],'pid').write_text(str(os.getpid()))\n"
               "time.sleep(60)", tmp_path, monkeypatch)  # fmt: skip
    pids: list[int] = []

    def stop() -> None:
        for path in (tmp_path / "cell").glob("liblinear-*/pid"):
            if path.read_text():
                pids.append(int(path.read_text()))
                raise Stopped("stopped by the user")

    with pytest.raises(Stopped):
        Liblinear().fit(TinyTraining(), HANDLE, context(tmp_path, stop=stop))
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert list((tmp_path / "cell").iterdir()) == []


def test_keyboard_interrupt_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_that(SLEEP, tmp_path, monkeypatch)

    def interrupt(log: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    def stop() -> None:
        """Press Ctrl-C while the child runs, where Python loses what a handler raises."""
        if list((tmp_path / "cell").glob("liblinear-*/log.txt")):
            log = set[int]()
            reference = weakref.ref(log, interrupt)
            del log
            assert reference() is None
        check_stop()

    with listening(), pytest.raises(KeyboardInterrupt):
        Liblinear().fit(TinyTraining(), HANDLE, context(tmp_path, stop=stop))
    assert list((tmp_path / "cell").iterdir()) == []


def test_a_killed_or_failing_child_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that("import os; os.kill(os.getpid(), 9)", tmp_path, monkeypatch)
    with pytest.raises(ResourceError, match=r"ended the solver's process.*pixels_per_frame"):
        Liblinear().fit(TinyTraining(), HANDLE, context(tmp_path))
    child_that("raise MemoryError('no room')", tmp_path, monkeypatch)
    with pytest.raises(ResourceError, match=r"MemoryError: no room.*for its memory"):
        Liblinear().fit(TinyTraining(), HANDLE, context(tmp_path))
    child_that("import sys; print('unknown solver'); sys.exit(1)", tmp_path, monkeypatch)
    with pytest.raises(ResourceError, match="ended with 1: unknown solver"):
        Liblinear().fit(TinyTraining(), HANDLE, context(tmp_path))
    child_that("print('it went away')", tmp_path, monkeypatch)
    with pytest.raises(ResourceError, match="ended without a result: it went away"):
        Liblinear().fit(TinyTraining(), HANDLE, context(tmp_path))


def test_max_time_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_that(SLEEP, tmp_path, monkeypatch)
    with pytest.raises(ResourceError, match=r"did not end within max_time=0\.3 seconds"):
        Liblinear().fit(TinyTraining(), HANDLE, context(tmp_path, budget=Budget(max_time=0.3)))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_child_leaves_with_its_parent() -> None:
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", "import sys, runpy, time; "
         "runpy.run_path(sys.argv[1])['leave_with_parent'](); time.sleep(60)", str(module.CHILD)],
        stdin=subprocess.PIPE,
    )  # fmt: skip
    time.sleep(1.0)
    assert child.poll() is None
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(20) == 3


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(ResourceError, match="do not fit the disk"):
        Liblinear().fit(TinyTraining(), HANDLE, context(tmp_path))


@pytest.mark.parametrize(
    "wrong",
    [{"C": 0}, {"C": -1.0}, {"C": float("nan")}, {"solver": 4}, {"C_mode": "max"}, {"epsilon": 0}],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        validate_call(Liblinear.__init__)(object.__new__(Liblinear), **wrong)
