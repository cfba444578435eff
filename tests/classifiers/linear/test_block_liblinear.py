"""Dual block minimisation, against liblinear and against a general optimiser."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from liblinear.liblinearutil import train as train_directly
from pydantic import ValidationError, validate_call
from scipy.sparse import csr_matrix

from tests.helpers.training import TinyHandle, TinyTraining
from vidseg.classifiers.base import Budget, FitContext
from vidseg.classifiers.linear import dual
from vidseg.classifiers.linear.block_liblinear import BlockLiblinear
from vidseg.classifiers.linear.blocks import BlockPlan, Blocks
from vidseg.classifiers.linear.head import LinearHead
from vidseg.classifiers.linear.points import PointSet
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.errors import DataError, ResourceError, Stopped
from vidseg.types import Features, FrameRef, Mask

HANDLE = TinyHandle()


def context(tmp_path: Path, **options: object) -> FitContext:
    return FitContext(workdir=tmp_path / "cell", **options)  # type: ignore[arg-type]


def point_set(train: TinyTraining) -> PointSet:
    transform = Standardisation.compute(train, FitContext(), HANDLE.levels)
    return PointSet(train, transform, HANDLE.levels)


def objective(
    head: LinearHead, x: np.ndarray, y: np.ndarray, c: float, loss: str, positive: float
) -> float:
    w, b = head.warm["weight"], head.warm["bias"][0]
    slack = np.maximum(0, 1 - y * (x.astype(float) @ w + b))
    costs = np.where(y > 0, positive * c, c)
    return float((w @ w + b * b) / 2 + costs @ (slack**2 if loss == "squared_hinge" else slack))


@pytest.mark.parametrize("blocks", [1, 5])
@pytest.mark.parametrize(("loss", "solver"), [("squared_hinge", 1), ("hinge", 3)])
@pytest.mark.parametrize("c", [0.01, 0.1])
def test_reaches_liblinears_optimum(
    loss: str, solver: int, c: float, blocks: int, tmp_path: Path
) -> None:
    train, ctx = TinyTraining(), context(tmp_path)
    head = BlockLiblinear(
        C=c, C_mode="sum", loss=loss, positive_weight=2.0, blocks=blocks,
        tolerance=1e-6, max_passes=3000, stored="float32",
    ).fit(train, HANDLE, ctx)  # fmt: skip
    x, y = point_set(train).gather(FitContext())
    model = train_directly(
        y.astype(float),
        csr_matrix(x.astype(float)),
        f"-s {solver} -c {c} -w1 2 -B 1 -e 0.00001 -q",
    )
    weights, bias = model.get_decfun()
    sign = 1 if model.get_labels()[0] == 1 else -1
    weights, bias = sign * np.array(weights), sign * bias
    theirs = LinearHead((), 0.0, (), "", {"weight": weights, "bias": np.array([bias])})
    ours = objective(head, x, y, c, loss, 2.0)
    # liblinear's hinge solver stops after 300 visits, wherever it is
    assert ours == pytest.approx(objective(theirs, x, y, c, loss, 2.0), rel=1e-3)
    assert ours <= objective(theirs, x, y, c, loss, 2.0) * (1 + 1e-5)
    assert ctx.facts["objective"] == pytest.approx(ours, rel=1e-7)
    assert ctx.facts["dual_objective"] <= ours * (1 + 1e-9)
    assert 0 <= ctx.facts["gap"] <= 1e-5
    assert ctx.facts["converged"] == 1
    assert ctx.facts["blocks"] == blocks
    np.testing.assert_allclose(head.warm["weight"], weights, atol=2e-2)


@pytest.mark.parametrize("loss", ["squared_hinge", "hinge"])
def test_dual_stays_feasible_and_makes_the_weights(loss: str, tmp_path: Path) -> None:
    x, y = point_set(TinyTraining()).gather(FitContext())
    state = dual.Dual.zero(loss, (0.05, 0.1), 2.0, y, x.shape[1])
    rng, order = np.random.default_rng(0), np.arange(len(y))
    values = [state.value()]
    for _ in range(5):
        found = state.visit(x, slice(0, len(y)), rng.permutation(order), (np.inf, -np.inf), int)
        values.append(state.value())
        assert sorted(found.kept) == order.tolist()
    assert values[0] == 0
    assert (np.diff(values) > 0).all()
    assert state.alpha.min() == 0
    if loss == "hinge":
        assert (state.alpha <= np.where(y > 0, 0.1, 0.05)).all()
        assert state.alpha.max() == 0.1
    made = (state.alpha * y) @ np.column_stack([x, np.full(len(y), 2.0)])
    np.testing.assert_allclose(state.weights, made, rtol=1e-6, atol=1e-9)
    slack = np.maximum(0, 1 - y * (x @ state.weights[:-1] + 2 * state.weights[-1]))
    total = np.where(y > 0, 0.1, 0.05) @ (slack if loss == "hinge" else slack**2)
    assert state.losses(x, slice(0, len(y))) == pytest.approx(total, rel=1e-5)
    assert state.primal(total) > state.value()


def test_shrinking_leaves_out_points_at_their_bound() -> None:
    x, y = point_set(TinyTraining()).gather(FitContext())
    state = dual.Dual.zero("squared_hinge", (0.01, 0.01), 1.0, y, x.shape[1])
    whole, order = slice(0, len(y)), np.arange(len(y))
    for _ in range(20):
        found = state.visit(x, whole, order.copy(), (np.inf, -np.inf), int)
    at_bound = state.alpha == 0
    shrunk = state.visit(x, whole, order.copy(), (found.high, found.low), int)
    left_out = np.setdiff1d(order, shrunk.kept)
    assert len(left_out) > 0.1 * len(y)
    assert at_bound[left_out].all()


def test_blocks_hold_every_point_once_at_random(tmp_path: Path) -> None:
    points = point_set(TinyTraining())
    x, y = points.gather(FitContext())
    plan = BlockPlan.of(len(y), x.shape[1], "float32", 2**20, 5000, least=7)
    assert plan.count == 7
    sizes = [part.stop - part.start for part in plan.parts]
    assert sum(sizes) == len(y)
    assert max(sizes) - min(sizes) <= 1
    blocks = Blocks(tmp_path, plan)
    labels = blocks.write(points, FitContext())
    found, signs = [], []
    for part, rows in blocks.read(np.arange(7)):
        assert np.load(tmp_path / f"block-{len(found):05d}.npy").shape == rows.shape
        found.append(rows.copy())
        signs.append(labels[part])
        # a random share: not one frame's, nor one corner's
        assert abs((labels[part] > 0).mean() - (y > 0).mean()) < 0.08
    assert blocks.bytes_read == x.nbytes == plan.disk_bytes
    rows, sides = np.concatenate(found), np.concatenate(signs)

    def listed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        table = np.column_stack([a, b])
        return table[np.lexsort(table.T)]

    np.testing.assert_array_equal(listed(rows, sides), listed(x, y))


def test_stays_within_the_budget_and_says_the_arithmetic(tmp_path: Path) -> None:
    train, ctx = TinyTraining(), context(tmp_path, memory_budget=120_000)
    said: list[str] = []
    ctx.progress.say = said.append  # type: ignore[method-assign, assignment]
    head = BlockLiblinear(C=0.01, C_mode="sum", tolerance=1e-4).fit(train, HANDLE, ctx)
    assert ctx.facts["blocks"] >= 2
    assert ctx.facts["point_bytes"] <= 120_000
    assert ctx.facts["disk_bytes"] == ctx.facts["points"] * 15 * 2
    assert ctx.facts["bytes_read"] >= ctx.facts["passes"] * ctx.facts["disk_bytes"]
    assert f"in {int(ctx.facts['blocks'])} blocks" in said[0]
    assert not (tmp_path / "cell" / "blocks").exists()
    roomy = context(tmp_path)
    other = BlockLiblinear(C=0.01, C_mode="sum", tolerance=1e-4).fit(train, HANDLE, roomy)
    assert roomy.facts["blocks"] == 1
    assert roomy.facts["bytes_read"] == roomy.facts["disk_bytes"]
    assert ctx.facts["objective"] == pytest.approx(roomy.facts["objective"], rel=2e-4)
    np.testing.assert_allclose(head.warm["weight"], other.warm["weight"], atol=0.05)
    before = len(train.visits)
    with pytest.raises(ResourceError, match=r"points x 13 bytes of dual variables.*memory_budget"):
        BlockLiblinear().fit(train, HANDLE, context(tmp_path, memory_budget=30_000))
    assert len(train.visits) == before


def test_float16_on_disk_costs_little(tmp_path: Path) -> None:
    train, found = TinyTraining(), []
    x, y = point_set(train).gather(FitContext())
    for stored in ("float16", "float32"):
        head = BlockLiblinear(
            C=0.1, C_mode="sum", stored=stored, tolerance=1e-7, max_passes=3000
        ).fit(train, HANDLE, context(tmp_path))
        found.append(objective(head, x, y, 0.1, "squared_hinge", 1.0))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_is_repeatable_and_round_trips(tmp_path: Path) -> None:
    classifier = BlockLiblinear(levels=[2, 0], max_passes=3, pixels_per_frame=100, blocks=3)
    train = TinyTraining(levels=(0, 2))
    heads = [classifier.fit(train, HANDLE, context(tmp_path, seed=s)) for s in (3, 3, 4)]
    np.testing.assert_array_equal(heads[0].warm["weight"], heads[1].warm["weight"])
    assert not np.array_equal(heads[0].warm["weight"], heads[2].warm["weight"])
    assert heads[0].levels == (0, 2)
    again = classifier.load(heads[0].export(), HANDLE)
    features = train.features(train.refs[0])
    np.testing.assert_array_equal(
        again.scores(features, train.mask_size), heads[0].scores(features, train.mask_size)
    )
    with pytest.raises(DataError, match="trained on extractor"):
        classifier.load(heads[0].export(), TinyHandle(seed=1))


def test_curves_and_time(tmp_path: Path) -> None:
    curve: list[tuple[str, float, int]] = []
    ctx = context(tmp_path, log=lambda *row: curve.append(row))
    BlockLiblinear(C=0.01, C_mode="sum", blocks=3, tolerance=1e-5).fit(TinyTraining(), HANDLE, ctx)
    lower = [value for name, value, _ in curve if name == "dual"]
    assert len(lower) == ctx.facts["passes"]
    assert (np.diff(lower) > 0).all()
    assert {name for name, *_ in curve} == {"objective", "dual", "gap", "violation", "visits"}
    late = context(tmp_path, budget=Budget(max_time=0.0))
    head = BlockLiblinear(tolerance=1e-9).fit(TinyTraining(), HANDLE, late)
    assert late.facts["passes"] == late.facts["out_of_time"] == 1
    assert late.facts["converged"] == 0
    assert np.isfinite(head.warm["weight"]).all()


def test_without_bias_the_head_has_none(tmp_path: Path) -> None:
    head = BlockLiblinear(bias=-1.0, standardise=False, max_passes=3).fit(
        TinyTraining(), HANDLE, context(tmp_path)
    )
    assert head.bias == 0


def test_refuses_one_class_bad_features_and_float16_overflow(tmp_path: Path) -> None:
    class AllBackground(TinyTraining):
        def mask(self, ref: FrameRef) -> Mask:
            return -np.abs(super().mask(ref))

    def spoil(ref: FrameRef, features: Features) -> Features:
        return (features[0] * np.float16(np.nan), *features[1:])

    with pytest.raises(DataError, match="no foreground pixel"):
        BlockLiblinear().fit(AllBackground(), HANDLE, context(tmp_path))
    for standardise in (True, False):
        with pytest.raises(DataError, match="video a, frame 0, level tiny0"):
            BlockLiblinear(standardise=standardise).fit(
                TinyTraining(spoil=spoil), HANDLE, context(tmp_path)
            )
    plan = BlockPlan.of(1000, 15, "float16", 2**20, 5000)
    with pytest.raises(DataError, match="end of float16; choose stored=float32"):
        Blocks(tmp_path, plan)._stored(np.full((1, 15), 7e4, np.float32), "video a, frame 0")


def test_stopping_removes_the_blocks(tmp_path: Path) -> None:
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 30:
            raise Stopped("stopped by the user")

    leftover = tmp_path / "cell" / "blocks" / "block-00000.npy"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"of a killed fit")
    with pytest.raises(Stopped):
        BlockLiblinear(blocks=4, tolerance=1e-9, max_passes=1000).fit(
            TinyTraining(), HANDLE, context(tmp_path, stop=stop)
        )
    assert list((tmp_path / "cell").iterdir()) == []


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Blocks, *args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Blocks, "_append", full)
        with pytest.raises(ResourceError, match="blocks do not fit the disk"):
            BlockLiblinear().fit(TinyTraining(), HANDLE, context(tmp_path))
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(ResourceError, match="do not fit the disk"):
        BlockLiblinear().fit(TinyTraining(), HANDLE, context(tmp_path))
    assert list((tmp_path / "cell").iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [{"C": 0}, {"C": float("nan")}, {"loss": "log"}, {"inner": 0}, {"tolerance": 0}, {"blocks": 0}],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        validate_call(BlockLiblinear.__init__)(object.__new__(BlockLiblinear), **wrong)
