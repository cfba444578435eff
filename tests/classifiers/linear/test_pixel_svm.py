"""The exact pixel SVM against dense references, liblinear, and bad input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError, validate_call

from tests.helpers.training import TinyHandle, TinyTraining
from vidseg.classifiers.base import FitContext
from vidseg.classifiers.hypercolumns import hypercolumns
from vidseg.classifiers.linear.base import LinearFit
from vidseg.classifiers.linear.exact import path as cost_path
from vidseg.classifiers.linear.exact.frames import FrameReader, HeldFrames, StreamedFrames
from vidseg.classifiers.linear.exact.losses import Loss
from vidseg.classifiers.linear.exact.memory_plan import PATHS, MemoryPlan
from vidseg.classifiers.linear.exact.objective import Objective
from vidseg.classifiers.linear.exact.sample import Pick
from vidseg.classifiers.linear.pixel_svm import PixelSvm
from vidseg.classifiers.linear.standardise import Standardisation
from vidseg.errors import DataError, ResourceError, Stopped, UsageError
from vidseg.tasks.means import mean_over_groups
from vidseg.tasks.segmentation.counts import Reference, VideoCounts, near_band
from vidseg.types import Features, FrameRef, Mask, Size

HANDLE = TinyHandle()
# a level larger than the mask (24x32 over 18x26), and a repeated frame
REFS = (*TinyTraining().refs, FrameRef("a", 1))
TRAIN = TinyTraining(refs=REFS)


def columns64(train: TinyTraining, ref: FrameRef) -> np.ndarray:
    """Hypercolumns in float64, by an independent interpolation."""
    maps = [
        torch.nn.functional.interpolate(
            torch.from_numpy(level.astype(np.float64))[None],
            size=tuple(train.mask_size),
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )[0]
        for level in train.features(ref)
    ]
    return torch.cat(maps).flatten(1).T.numpy()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny products: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Dense:
    """Every pixel as a standardised float64 hypercolumn."""

    def __init__(self, train: TinyTraining, standard: Standardisation, bias: float | None) -> None:
        z = (np.concatenate([columns64(train, r) for r in train.refs]) - standard.mean) * (
            standard.scale
        )
        labels = np.concatenate([train.mask(r).ravel() for r in train.refs]).astype(np.float64)
        self.x = z if bias is None else np.c_[z, np.full(len(z), bias)]
        self.x, self.y = self.x[labels != 0], labels[labels != 0]

    def costs(self, cost: float, positive: float = 1.0, mode: str = "sum") -> np.ndarray:
        weights = np.where(self.y > 0, positive, 1.0)
        return cost * weights / (weights.sum() if mode == "mean" else 1.0)

    def value(self, point: np.ndarray, costs: np.ndarray, power: int = 2) -> float:
        deficit = np.maximum(0, 1 - self.y * (self.x @ point))
        return 0.5 * float(point @ point) + float((costs * deficit**power).sum())

    def smooth(self, point: np.ndarray, costs: np.ndarray, gamma: float | None) -> tuple:
        m = np.maximum(0, 1 - self.y * (self.x @ point))
        if gamma is None:
            loss, slope = m**2, 2 * m
        else:
            loss = np.where(m < gamma, m * m / 2 / gamma, m - gamma / 2)
            slope = np.minimum(m, gamma) / gamma
        gradient = point - self.x.T @ (costs * slope * self.y)
        return 0.5 * float(point @ point) + float(costs @ loss), gradient


def point_of(head, bias: float) -> np.ndarray:
    return np.append(head.warm["weight"], head.warm["bias"] / bias)


def problem(frames: str, loss: Loss, bias: float | None) -> tuple[Objective, Standardisation]:
    ctx = FitContext(seed=3)
    reader = FrameReader.of(TRAIN, HANDLE, (0, 1, 2), ctx)
    labels = reader.labels()
    standard = Standardisation.compute(TRAIN, ctx, HANDLE.levels)
    opened = {
        "disk": lambda: StreamedFrames(reader, labels, standard),
        "memory": lambda: HeldFrames.load(reader, labels, standard, torch.float32, lambda: None),
        "memory-fp16": lambda: HeldFrames.load(
            reader, labels, standard, torch.float16, lambda: None
        ),
    }[frames]()

    def blank() -> torch.Tensor:
        return torch.empty(labels.shape)

    objective = Objective(opened, (2.0, 3.0), bias, loss, ctx, 1e9, blank)
    return objective, standard


@pytest.mark.parametrize("frames", PATHS)
@pytest.mark.parametrize("gamma", [None, 0.5])
@pytest.mark.parametrize("bias", [None, 2.0])
def test_objective_and_gradient_equal_dense_float64(frames, gamma, bias) -> None:
    objective, standard = problem(frames, Loss(gamma), bias)
    dense = Dense(TRAIN, standard, bias)
    point = np.random.default_rng(1).normal(size=objective.size) * 0.3
    reading, _ = objective.read(point, None, 0)
    value, gradient = dense.smooth(point, dense.costs(2.0, 1.5), gamma)
    assert reading.value == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(reading.gradient, gradient, atol=1e-6 * np.abs(gradient).max())
    hinge = dense.value(point, dense.costs(2.0, 1.5), 1 if gamma else 2)
    assert reading.hinge == pytest.approx(hinge, rel=1e-6)


def test_gradient_is_the_derivative_of_the_objective() -> None:
    objective, _ = problem("memory", Loss(), 1.0)
    rng = np.random.default_rng(2)
    point, direction = rng.normal(size=(2, objective.size)) * 0.3
    gradient = objective.read(point, None, 0)[0].gradient
    step = 1e-2
    ahead, behind = (objective.read(point + s * direction, None, 0)[0].value for s in (step, -step))
    assert (ahead - behind) / (2 * step) == pytest.approx(gradient @ direction, rel=1e-3)


def test_the_line_between_two_readings_needs_no_reading() -> None:
    objective, _ = problem("memory", Loss(), 1.0)
    rng = np.random.default_rng(2)
    start, end = rng.normal(size=(2, objective.size)) * 0.3
    kept = []
    for point in (start, end):
        objective.read(point, None, 0)
        kept.append(objective.scores.clone())
    middle = start + 0.3 * (end - start)
    expected = objective.read(middle, None, 0)[0].value - 0.5 * middle @ middle
    assert objective.along(*kept)(0.3) == pytest.approx(expected, rel=1e-5)
    assert objective.meter.passes == 3


@pytest.mark.parametrize("frames", PATHS)
@pytest.mark.parametrize("together", [2, 64])
def test_frames_worked_on_together_give_the_same_sample(frames, together, monkeypatch) -> None:
    """A GPU works on many frames at once: the same pixels, labels, costs and line."""

    def sampled(together: int) -> tuple[list[torch.Tensor], float]:
        monkeypatch.setattr(Objective, "together", together)
        objective, _ = problem(frames, Loss(), 2.0)
        start, end = np.random.default_rng(1).normal(size=(2, objective.size)) * 0.3
        objective.read(start, None, 0)
        kept = objective.scores.clone()
        # pixels of the first and the last frame are wanted for certain, hardly any other is
        pixels = objective.frames.pyramid.pixels
        always = np.array([1, 5, pixels + 2, len(kept) * pixels - 3])
        _, few = objective.read(end, Pick(np.inf, 1e-9, 1e-9, always), 100)
        found = list(few.columns)
        line = objective.along(kept, objective.scores)(0.3)
        _, whole = objective.read(end, Pick(np.inf, 1.0, 1.0), 10**6)
        return found + list(whole.columns), line

    (alone, first), (joined, second) = sampled(1), sampled(together)
    assert 0 < len(alone[0]) <= 4
    for one, other in zip(alone, joined, strict=True):
        torch.testing.assert_close(one, other)
    assert first == pytest.approx(second, rel=1e-6)


@pytest.mark.parametrize("frames", PATHS)
def test_a_sample_of_everything_is_every_pixel(frames) -> None:
    objective, standard = problem(frames, Loss(), 2.0)
    dense = Dense(TRAIN, standard, 2.0)
    point = np.random.default_rng(1).normal(size=objective.size) * 0.3
    reading, sample = objective.read(point, Pick(np.inf, 1.0, 1.0), 10**6)
    assert sample is not None
    distinct = sum((TRAIN.mask(r) != 0).sum() for r in set(REFS))
    assert len(sample.labels) == distinct
    terms = Loss().terms(
        sample.points @ torch.from_numpy(point).float(), sample.labels, sample.costs
    )
    assert terms.value + 0.5 * point @ point == pytest.approx(reading.value, rel=1e-5)
    nearest = [np.abs(dense.x - row).max(axis=1).min() for row in sample.points[:50].numpy()]
    assert max(nearest) < 1e-4


def test_a_sample_estimates_sums_over_all_pixels() -> None:
    objective, _ = problem("memory", Loss(), 1.0)
    point = np.random.default_rng(1).normal(size=objective.size) * 0.1
    values = []
    for _ in range(60):
        reading, sample = objective.read(point, Pick(0.2, 0.5, 0.2), 10**6)
        scores = sample.points @ torch.from_numpy(point).float()
        values.append(Loss().terms(scores, sample.labels, sample.costs).value)
    truth = reading.value - 0.5 * point @ point
    spread = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - truth) < 4 * spread + 1e-6 * truth
    assert np.std(values) > 0


def liblinear(dense: Dense, solver: int, cost: float, bias: float, positive: float) -> np.ndarray:
    from liblinear.liblinearutil import parameter, train
    from liblinear.liblinearutil import problem as liblinear_problem
    from scipy.sparse import csr_matrix

    x = dense.x[:, :-1] if bias > 0 else dense.x
    options = f"-s {solver} -c {cost!r} -e 1e-8 -B {bias} -w1 {positive} -q"
    model = train(liblinear_problem(dense.y, csr_matrix(x), bias), parameter(options))
    weights = np.array(model.get_decfun()[0])
    assert model.get_labels()[0] in (1, -1)
    return np.append(weights, model.get_decfun()[1] / bias) if bias > 0 else weights


@pytest.mark.parametrize(("cost", "bias"), [(0.01, 1.0), (1.0, -1.0), (1.0, 3.0), (100.0, 1.0)])
def test_the_solution_is_liblinears(tmp_path: Path, cost: float, bias: float) -> None:
    ctx = FitContext(workdir=tmp_path)
    svm = PixelSvm(C=cost, C_mode="sum", bias=bias, positive_weight=2.0, tolerance=1e-11)
    head = svm.fit(TRAIN, HANDLE, ctx)
    standard = Standardisation.compute(TRAIN, ctx, HANDLE.levels)
    dense = Dense(TRAIN, standard, bias if bias > 0 else None)
    mine = point_of(head, bias) if bias > 0 else head.warm["weight"]
    theirs = liblinear(dense, 2, cost, bias, 2.0)
    costs = dense.costs(cost, 2.0)
    assert dense.value(mine, costs) == pytest.approx(dense.value(theirs, costs), rel=1e-6)
    assert ctx.facts["objective"] == pytest.approx(dense.value(mine, costs), rel=1e-6)
    np.testing.assert_allclose(mine, theirs, atol=1e-4 * max(1, np.abs(theirs).max()))
    scores = dense.x @ mine
    differ = (scores > 0) != (dense.x @ theirs > 0)
    assert differ.mean() <= 1e-5
    assert (np.abs(scores[differ]) < 1e-3).all()


@pytest.mark.parametrize("cost", [0.01, 1.0])
def test_hinge_reaches_liblinears_objective(tmp_path: Path, cost: float) -> None:
    ctx = FitContext(workdir=tmp_path)
    head = PixelSvm(C=cost, C_mode="sum", loss="hinge", tolerance=1e-4).fit(TRAIN, HANDLE, ctx)
    standard = Standardisation.compute(TRAIN, ctx, HANDLE.levels)
    dense = Dense(TRAIN, standard, 1.0)
    costs = dense.costs(cost)
    theirs = dense.value(liblinear(dense, 3, cost, 1.0, 1.0), costs, 1)
    mine = dense.value(point_of(head, 1.0), costs, 1)
    # liblinear's dual descent may end (after 1000 rounds) above the optimum, never below it
    assert mine <= theirs * (1 + 2e-4)
    assert mine - ctx.facts["certificate"] <= theirs
    tight = FitContext(workdir=tmp_path / "tight")
    PixelSvm(C=cost, C_mode="sum", loss="hinge", tolerance=1e-6).fit(TRAIN, HANDLE, tight)
    assert mine <= tight.facts["objective"] * (1 + 1.2e-4)


def test_mean_mode_divides_by_the_sum_of_weights(tmp_path: Path) -> None:
    settings = {"positive_weight": 3.0, "tolerance": 1e-8}
    mean = PixelSvm(C=50.0, **settings).fit(TRAIN, HANDLE, FitContext(workdir=tmp_path / "a"))
    masks = np.stack([TRAIN.mask(r) for r in REFS])
    weight = 3.0 * (masks > 0).sum() + (masks < 0).sum()
    ctx = FitContext(workdir=tmp_path / "b")
    literal = PixelSvm(C=50.0 / weight, C_mode="sum", **settings).fit(TRAIN, HANDLE, ctx)
    np.testing.assert_allclose(mean.warm["weight"], literal.warm["weight"], atol=1e-5)
    assert ctx.facts["points"] == (masks != 0).sum()


def test_gap_and_certificate_bound_the_true_gap(tmp_path: Path) -> None:
    best = FitContext(workdir=tmp_path / "best")
    PixelSvm(C=1.0, C_mode="sum", tolerance=1e-9).fit(TRAIN, HANDLE, best)
    loose = FitContext(workdir=tmp_path / "loose")
    PixelSvm(C=1.0, C_mode="sum", tolerance=0.05, sample=64).fit(TRAIN, HANDLE, loose)
    gap = loose.facts["objective"] - best.facts["objective"]
    assert 0 <= gap <= loose.facts["certificate"]
    assert gap <= 0.1 * loose.facts["objective"]


def budget_for(path: str, train: TinyTraining = TRAIN, sample: int = 4096) -> int:
    reader = FrameReader.of(train, HANDLE, (0, 1, 2), FitContext())
    plan = MemoryPlan.of(reader, 16, sample, 2**40)
    extra = {"memory": plan.single, "memory-fp16": plan.half, "disk": 0}[path]
    # labels, scores and work do not depend on the budget while scores stay in memory
    return plan.work + plan.frames * extra + 1


def test_every_data_path_reaches_the_same_solution(tmp_path: Path) -> None:
    svm = PixelSvm(C=1.0, C_mode="sum", tolerance=1e-8)
    weights = {}
    for path in PATHS:
        ctx = FitContext(workdir=tmp_path / path, memory_budget=budget_for(path))
        weights[path] = svm.fit(TRAIN, HANDLE, ctx).warm["weight"]
        assert PATHS[int(ctx.facts["data_path"])] == path
    for path in PATHS:
        np.testing.assert_allclose(weights[path], weights["memory"], atol=2e-5)


def test_too_small_a_budget_says_the_arithmetic(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"needs \d.*B .*memory_budget is 1\.05MB"):
        PixelSvm().fit(TRAIN, HANDLE, FitContext(workdir=tmp_path, memory_budget=2**20))


def test_scores_in_files_give_the_same_solution(tmp_path: Path, monkeypatch) -> None:
    svm = PixelSvm(C=1.0, C_mode="sum")
    first = svm.fit(TRAIN, HANDLE, FitContext(workdir=tmp_path / "a"))
    monkeypatch.setattr(MemoryPlan, "scores_on_disk", property(lambda self: True))
    second = svm.fit(TRAIN, HANDLE, FitContext(workdir=tmp_path / "b"))
    np.testing.assert_array_equal(first.warm["weight"], second.warm["weight"])
    assert not list((tmp_path / "b").glob("scores*"))


def test_a_list_of_costs_is_chosen_on_inner_groups(tmp_path: Path) -> None:
    logged: dict[str, list[float]] = {}
    ctx = FitContext(
        workdir=tmp_path, log=lambda name, value, step: logged.setdefault(name, []).append(value)
    )
    svm = PixelSvm(C=[100.0, 1e-6, 1.0], C_mode="sum")
    head = svm.fit(TRAIN, HANDLE, ctx)
    assert logged["path/C"] == [1e-6, 1.0, 100.0]
    assert ctx.facts["C"] == logged["path/C"][int(np.argmax(logged["path/iou"]))]
    single = PixelSvm(C=ctx.facts["C"], C_mode="sum").fit(
        TRAIN, HANDLE, FitContext(workdir=tmp_path / "single")
    )
    np.testing.assert_allclose(head.warm["weight"], single.warm["weight"], atol=1e-3)
    for fold, group in enumerate("ab"):
        other = "ab"[1 - fold]
        fold_ctx = FitContext(workdir=tmp_path / f"fold{fold}")
        part = PixelSvm(C=1.0, C_mode="sum").fit(TRAIN.subset([other]), HANDLE, fold_ctx)
        held = TRAIN.subset([group])
        found = [part.scores(held.features(r), held.mask_size) > 0 for r in held.refs]
        masks = [held.mask(r) for r in held.refs]
        both = sum((f & (m > 0)).sum() for f, m in zip(found, masks, strict=True))
        either = sum(((f | (m > 0)) & (m != 0)).sum() for f, m in zip(found, masks, strict=True))
        logged.setdefault("by hand", []).append(both / either)
    assert np.mean(logged["by hand"]) == pytest.approx(logged["path/iou"][1], abs=5e-3)


class OneEmpty(TinyTraining):
    """Nothing counts as foreground in the video c, although it looks like the others."""

    def mask(self, ref: FrameRef) -> Mask:
        mask = super().mask(ref)
        return -np.abs(mask) if ref.video == "c" else mask


def test_costs_are_compared_by_the_headlines_iou(tmp_path: Path) -> None:
    train = OneEmpty(refs=tuple(FrameRef(video, i) for video in "abc" for i in (0, 1)))
    svm, ctx = PixelSvm(C=[0.01, 1.0], C_mode="sum"), FitContext(workdir=tmp_path)
    svm.fit(train, HANDLE, ctx)
    levels = tuple(svm.levels(HANDLE))
    rows: list[list[tuple[str, dict[str, float]]]] = [[], []]
    for fold, group in enumerate("abc"):
        inner = FitContext(workdir=tmp_path / group)
        others = train.subset([one for one in "abc" if one != group])
        part = LinearFit(others, HANDLE, inner, levels)
        heads = cost_path.path_heads(svm.costs, svm.settings, part, fold)
        for head, own in zip(heads, rows, strict=True):
            counts = VideoCounts(group, group)
            for ref in train.subset([group]).refs:
                mask = train.mask(ref)
                scores = head.scores(train.features(ref), train.mask_size)
                counts.add(ref.index, scores, Reference(mask, near_band(mask, 1.0)), 0.0)
            assert group != "c" or counts.total[1] > 0, "something is found where nothing is"
            own.append((group, counts.scores()))
    for index, own in enumerate(rows):
        headline = mean_over_groups(own)["iou"]
        assert ctx.facts[f"path_iou_{index}"] == pytest.approx(headline, rel=1e-12)


def test_a_list_of_costs_needs_two_groups(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"belong to one \(a\)"):
        PixelSvm(C=[1.0, 2.0]).fit(TRAIN.subset(["a"]), HANDLE, FitContext(workdir=tmp_path))


def test_a_warm_start_reaches_the_same_solution_sooner(tmp_path: Path) -> None:
    svm = PixelSvm(C=1.0, C_mode="sum", tolerance=1e-7, sample=64)
    cold = FitContext(workdir=tmp_path / "a")
    head = svm.fit(TRAIN, HANDLE, cold)
    warm = FitContext(workdir=tmp_path / "b", init=head)
    again = svm.fit(TRAIN, HANDLE, warm)
    assert warm.facts["passes"] < cold.facts["passes"]
    assert warm.facts["objective"] == pytest.approx(cold.facts["objective"], rel=1e-6)
    np.testing.assert_allclose(again.warm["weight"], head.warm["weight"], atol=1e-2)


def test_a_start_from_another_extractor_is_refused(tmp_path: Path) -> None:
    head = PixelSvm().fit(TRAIN, HANDLE, FitContext(workdir=tmp_path / "a"))
    other = FitContext(workdir=tmp_path, init=replace(head, fingerprint="other"))
    with pytest.raises(DataError, match="no linear head of this extractor"):
        PixelSvm().fit(TRAIN, HANDLE, other)


def test_the_head_scores_as_the_dense_solution(tmp_path: Path) -> None:
    ctx = FitContext(workdir=tmp_path)
    head = PixelSvm(C=1.0, C_mode="sum", bias=2.0).fit(TRAIN, HANDLE, ctx)
    standard = Standardisation.compute(TRAIN, ctx, HANDLE.levels)
    features = TRAIN.features(REFS[0])
    z = (hypercolumns(features, TRAIN.mask_size) - standard.mean) * standard.scale
    expected = z @ head.warm["weight"] + head.warm["bias"]
    np.testing.assert_allclose(head.scores(features, TRAIN.mask_size).ravel(), expected, atol=1e-3)
    loaded = PixelSvm().load(head.export(), HANDLE)
    np.testing.assert_array_equal(
        loaded.scores(features, TRAIN.mask_size), head.scores(features, TRAIN.mask_size)
    )
    with pytest.raises(DataError, match="was trained on extractor"):
        PixelSvm().load(head.export(), TinyHandle(seed=9))


def test_dead_channels_get_no_weight(tmp_path: Path) -> None:
    def constant(ref: FrameRef, features: Features) -> Features:
        first = features[0].copy()
        first[2] = 5.0
        return (first, *features[1:])

    head = PixelSvm(C=1.0, C_mode="sum").fit(
        replace(TRAIN, spoil=constant), HANDLE, FitContext(workdir=tmp_path)
    )
    assert head.weights[0][2] == 0
    assert (head.weights[0][[0, 1, 3]] != 0).all()


def spoiled(value: float) -> TinyTraining:
    def spoil(ref: FrameRef, features: Features) -> Features:
        if ref != FrameRef("b", 1):
            return features
        second = features[1].copy()
        second[0, 2, 3] = value
        return (features[0], second, features[2])

    return replace(TRAIN, spoil=spoil)


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_named(tmp_path, standardise, value) -> None:
    svm = PixelSvm(standardise=standardise)
    with pytest.raises(DataError, match="video b, frame 1, level tiny1"):
        svm.fit(spoiled(value), HANDLE, FitContext(workdir=tmp_path))


def test_constant_features_are_refused(tmp_path: Path) -> None:
    def flat(ref: FrameRef, features: Features) -> Features:
        return tuple(np.ones_like(level) for level in features)

    with pytest.raises(DataError, match="every feature is constant"):
        PixelSvm().fit(replace(TRAIN, spoil=flat), HANDLE, FitContext(workdir=tmp_path))


def test_all_pixels_ignored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no foreground and background pixel"):
        PixelSvm().fit(replace(TRAIN, ignored=1.0), HANDLE, FitContext(workdir=tmp_path))


def test_one_class_only_is_refused(tmp_path: Path, monkeypatch) -> None:
    mask = TinyTraining.mask
    monkeypatch.setattr(TinyTraining, "mask", lambda s, r: np.minimum(mask(s, r), 0))
    with pytest.raises(DataError, match="no foreground pixel"):
        PixelSvm().fit(TRAIN, HANDLE, FitContext(workdir=tmp_path))


def test_features_of_another_extractor_are_refused(tmp_path: Path) -> None:
    other = TinyHandle(channels=(5, 4, 7))
    with pytest.raises(DataError, match="the extractor's are"):
        PixelSvm().fit(TRAIN, other, FitContext(workdir=tmp_path))


@pytest.mark.parametrize("cost", [0, -1.0, 1e9, float("nan"), float("inf"), [], [1.0, 0.0]])
def test_nonsense_costs_are_refused(cost: object) -> None:
    with pytest.raises(ValidationError):
        validate_call(PixelSvm.__init__)(object.__new__(PixelSvm), C=cost)


def test_more_processes_than_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="9 processes share 5 frames"):
        PixelSvm().fit(TRAIN, HANDLE, FitContext(workdir=tmp_path, world=9))


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch) -> None:
    from vidseg.classifiers.linear.exact import checkpoint

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(ResourceError, match=r"the disk is full.*continues from its last"):
        PixelSvm().fit(TRAIN, HANDLE, FitContext(workdir=tmp_path))
    assert not list(tmp_path.glob("*.tmp"))


def test_stop_is_answered_within_a_reading(tmp_path: Path) -> None:
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls > 9:
            raise Stopped("stopped")

    with pytest.raises(Stopped):
        PixelSvm(tolerance=1e-9).fit(TRAIN, HANDLE, FitContext(workdir=tmp_path, stop=stop))


def test_larger_level_is_held_at_mask_size() -> None:
    reader = FrameReader.of(TRAIN, HANDLE, (0, 1, 2), FitContext())
    assert reader.pyramid.levels == (TRAIN.mask_size, Size(11, 15), Size(5, 8))
    held = HeldFrames.load(
        reader,
        reader.labels(),
        Standardisation.identity(HANDLE.channels),
        torch.float16,
        lambda: None,
    )
    assert [level.dtype for level in held.held] == [torch.float32, torch.float16, torch.float16]
