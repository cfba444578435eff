"""Scoring, overlays and training sets, on videos that are held in memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from vidseg.datasets.base import BoxLabels, MaskLabels
from vidseg.errors import PluginError, Stopped
from vidseg.experiment.evaluate import evaluate
from vidseg.experiment.training import SamplingContext, TrainingFrames
from vidseg.tasks.registry import find_task
from vidseg.tasks.segmentation.counts import VideoCounts, frame_counts, near_band
from vidseg.tasks.segmentation.margin import box_margin
from vidseg.tasks.segmentation.overlays import (
    CAPTION,
    FALSE_ALARM,
    MISSED,
    RIGHT,
    choose_frames,
    draw_overlay,
)
from vidseg.tasks.segmentation.rasterise import rasterise
from vidseg.types import FrameRef, Size
from vidseg.utils.progress import Quiet

SIZE = Size(12, 16)


@dataclass
class Memory:
    """A material, and its video, of given labels; frames are of one colour each."""

    name: str
    all_labels: list
    group: str = "g"
    mask_size: Size = SIZE
    image_size: Size = SIZE
    read: list[int] = field(default_factory=list)

    @property
    def video(self):
        return self

    @property
    def labelled(self):
        return [index for index, labels in enumerate(self.all_labels) if labels is not None]

    def labels(self, index, source="truth"):
        return self.all_labels[index]

    def image(self, index):
        self.read.append(index)
        return np.full((*self.image_size, 3), 10 * index, np.uint8)

    def mask(self, index):
        return rasterise(self.labels(index), self.mask_size)


@dataclass
class Fixed:
    """A network that knows which frame it sees by its colour, and scores by a table."""

    table: np.ndarray

    def batch_scores(self, images, size, device):
        return self.table[[int(image[0, 0, 0]) // 10 for image in images]]

    def export(self):
        return {}


def boxes(*rows, ignored=None):
    array = np.array(rows, np.float64).reshape(-1, 4)
    return BoxLabels(
        SIZE, array, ignored=np.zeros(len(array), bool) if ignored is None else ignored
    )


def videos():
    first = Memory("a", [boxes((i, 2, 4, 6)) for i in range(5)], "g")
    return [first, Memory("b", [boxes((1, 1, 3, 3)), boxes()], "h")]


def test_models_are_counted_frame_by_frame_with_one_read_each():
    rng = np.random.default_rng(0)
    models = {name: Fixed(rng.normal(size=(5, *SIZE)).astype(np.float32)) for name in "xy"}
    clips = videos()
    found = evaluate(
        models,
        clips,
        frames=lambda material: material.labelled[::2],
        thresholds={"y": 0.5},
        margin=1.5,
        task=find_task(),
        bar=Quiet(),
    )
    assert list(found) == ["x", "y"]
    assert [(v.video, v.group, v.frames) for v in found["y"]] == [
        ("a", "g", [0, 2, 4]),
        ("b", "h", [0]),
    ]
    for name, threshold in (("x", 0.0), ("y", 0.5)):
        for clip, counts in zip(clips, found[name], strict=True):
            for index, row in zip(counts.frames, counts.counts, strict=True):
                mask = clip.mask(index)
                scores = models[name].table[index]
                expected = frame_counts(scores, mask, near_band(mask, 1.5), threshold)
                np.testing.assert_array_equal(row, expected)
    assert [clip.read for clip in clips] == [[0, 2, 4], [0]]


def test_one_model_with_several_names_is_scored_once():
    @dataclass
    class Counted(Fixed):
        seen: int = 0

        def batch_scores(self, images, size, device):
            self.seen += len(images)
            return super().batch_scores(images, size, device)

    clips = videos()[:1]
    model = Counted(np.random.default_rng(0).normal(size=(5, *SIZE)).astype(np.float32))
    found = evaluate(
        {"x": model, "y": model, "z": model},
        clips,
        frames=lambda material: material.labelled,
        thresholds={"z": 0.5},
        margin=1.5,
        task=find_task(),
        bar=Quiet(),
    )
    assert model.seen == 2 * 5, "x and y are one, z has a threshold of its own"
    (x,), (y,), (z,) = found.values()
    assert x.to_json() == y.to_json()
    assert x.total[0] != z.total[0]


class Ticks(Quiet):
    def __init__(self):
        self.ticks = []

    def advance(self, count=1):
        self.ticks.append(count)


@pytest.mark.parametrize(
    ("bound", "sizes"), [(10**9, [16, 16, 8]), (3 * 12 * 16 * 4 * 4, [3] * 13 + [1]), (1, [1] * 40)]
)
def test_networks_score_batches_that_fit_the_memory_bound(monkeypatch, bound, sizes):
    monkeypatch.setattr("vidseg.experiment.evaluate.BATCH_BYTES", bound)
    clip = Memory("a", [boxes((i % 9, 2, 4, 6)) for i in range(40)])
    clip.image = lambda index: np.full((*SIZE, 3), index, np.uint8)
    table = np.random.default_rng(0).normal(size=(40, *SIZE)).astype(np.float32)

    batches = []

    class ByColour(Fixed):
        def batch_scores(self, images, size, device):
            batches.append((len(images), device))
            return self.table[[int(image[0, 0, 0]) for image in images]]

    model, bar = ByColour(table), Ticks()
    every = range(40)
    found = evaluate(
        {"x": model},
        [clip],
        frames=lambda m: every,
        task=find_task(),
        margin=1.5,
        bar=bar,
        device="cuda:1",
    )
    assert batches == [(size, "cuda:1") for size in sizes]
    assert bar.ticks == [1] * 40
    (counts,) = found["x"]
    assert counts.frames == list(every)
    for index, row in zip(counts.frames, counts.counts, strict=True):
        mask = clip.mask(index)
        expected = frame_counts(table[index], mask, near_band(mask, 1.5), 0.0)
        np.testing.assert_array_equal(row, expected)


def test_scores_of_another_shape_are_refused():
    model = Fixed(np.zeros((5, 3, 3), np.float32))
    with pytest.raises(PluginError, match=r"x returns scores \(5, 3, 3\) for 5 images"):
        evaluate(
            {"x": model},
            videos()[:1],
            frames=lambda m: range(5),
            task=find_task(),
            margin=1,
            bar=Quiet(),
        )


def test_scoring_stops_when_asked():
    clips = videos()

    def stop():
        if clips[0].read:
            raise Stopped("enough")

    models = {"x": Fixed(np.zeros((5, *SIZE), np.float32))}
    with pytest.raises(Stopped):
        evaluate(
            models,
            clips,
            frames=lambda m: range(5),
            task=find_task(),
            margin=1,
            bar=Quiet(),
            stop=stop,
        )
    assert clips[0].read == [0]


def test_the_margin_is_half_the_median_height_in_mask_pixels():
    ignored = np.array([True, False])
    clip = Memory(
        "a", [boxes((0, 0, 2, 100), (0, 0, 2, 6), ignored=ignored)], mask_size=Size(24, 8)
    )
    assert box_margin([clip]) == 6 * (24 / 12) / 2
    clip.all_labels.insert(0, None)  # not labelled
    assert box_margin([clip]) == 6 * (24 / 12) / 2
    assert box_margin([Memory("b", [boxes()])]) == 0
    mask = np.full(SIZE, -1, np.int8)
    mask[2:7, 1:3] = 1
    mask[0:1, 10:] = 1
    assert box_margin([Memory("c", [MaskLabels(SIZE, mask)])]) == (5 + 1) / 2 / 2


def counts(name, rows):
    made = VideoCounts(name, name, list(range(0, 10 * len(rows), 10)))
    made.counts = [np.array([tp, fp, fn, 50, 0, 0]) for tp, fp, fn in rows]
    return made


def test_chosen_frames_are_best_median_and_worst_over_the_range_of_videos():
    shown = counts("a", [(5, 5, 0), (0, 3, 0), (1, 0, 9), (9, 0, 1)])
    assert choose_frames([shown]) == [("best", "a", 30), ("median", "a", 0), ("worst", "a", 20)]
    empty = counts("e", [(0, 4, 0)])
    assert choose_frames([empty]) == choose_frames([]) == []
    many = [counts(str(i), [(i, 0, 10 - i)]) for i in range(9)]
    chosen = [video for rank, video, _ in choose_frames([*many, empty]) if rank == "best"]
    assert len(chosen) == len(set(chosen)) == 4
    assert {"0", "8"} < set(chosen)


def test_overlays_colour_right_wrong_and_missed():
    mask = np.full((10, 400), -1, np.int8)
    mask[:, 100:200] = 1
    mask[:, 300:] = 0
    scores = np.zeros((10, 400), np.float32)
    scores[:, 150:250] = 2
    image = np.full((10, 400, 3), 100, np.uint8)
    picture = draw_overlay(image, mask, scores, 1.0, "a frame 3")
    assert picture.shape == (10 + CAPTION, 800, 3)
    assert picture.dtype == np.uint8
    row = picture[-1, 400:].astype(int)
    for place, colour in ((120, MISSED), (170, RIGHT), (220, FALSE_ALARM)):
        np.testing.assert_array_equal(row[place], (np.array(colour) + 100) // 2)
    np.testing.assert_array_equal(row[50], [100, 100, 100])
    assert (image == 100).all()
    small = draw_overlay(image[:, :50], mask[:, :50], scores[:, :50], 1.0, "x")
    assert small.shape == (8 * 10 + CAPTION, 800, 3)


@dataclass(frozen=True)
class Brighter:
    """A variant that says which epoch it was drawn in; it is an empty tuple to a hasty test."""

    fresh: bool = True

    def __len__(self):
        return 0

    def render(self, source, index, epoch):
        return source.image(index) + np.uint8(1 + epoch), -source.mask(index)


def test_training_frames_are_views_of_the_materials():
    a, b = videos()
    refs = [FrameRef("a", 3), FrameRef("b", 1), FrameRef("a", 0), FrameRef("a", 3)]
    train = TrainingFrames({"a": a, "b": b}, refs)
    assert train.groups == ["g", "h", "g", "g"]
    assert (train.videos, train.image_size, train.mask_size) == (2, SIZE, SIZE)
    assert train.frame(refs[0])[0, 0, 0] == 30
    np.testing.assert_array_equal(train.mask(refs[2]), a.mask(0))
    assert list(train.subset(["h"]).refs) == [refs[1]]
    shards = [train.shard(rank, 3).refs for rank in range(3)]
    assert sorted(repr(ref) for shard in shards for ref in shard) == sorted(map(repr, refs))


@pytest.mark.parametrize("fresh", [True, False])
def test_variants_are_drawn_anew_each_epoch_only_when_fresh(fresh):
    a, _ = videos()
    ref = FrameRef("a", 2, Brighter(fresh))
    train = TrainingFrames({"a": a}, [ref])
    assert train.frame(ref)[0, 0, 0] == 21
    assert train.with_epoch(4).frame(ref)[0, 0, 0] == (25 if fresh else 21)
    np.testing.assert_array_equal(train.with_epoch(4).mask(ref), -a.mask(2))


def test_a_visit_renders_a_variant_once():
    a, b = videos()
    drawn = Counter()

    class Counted(Brighter):
        def render(self, source, index, epoch):
            drawn[index, epoch] += 1
            return super().render(source, index, epoch)

    refs = [FrameRef("a", 2, Counted(True)), FrameRef("b", 1, Counted(True))]
    train = TrainingFrames({"a": a, "b": b}, refs)
    for epoch in (0, 1):
        for ref in refs:
            visit = train.with_epoch(epoch)
            image, mask = visit.frame(ref), visit.mask(ref)
            again = ref.variant.render(visit.materials[ref.video], ref.index, epoch)
            np.testing.assert_array_equal(image, again[0])
            np.testing.assert_array_equal(mask, again[1])
    assert set(drawn.values()) == {2}, "once for the visit, once for the check"


def test_draws_depend_on_seed_and_name_alone():
    a, b = videos()
    few, many = SamplingContext({"a": a}, 1), SamplingContext({"b": b, "a": a}, 1)
    assert few.rng(a).integers(1 << 30) == many.rng(a).integers(1 << 30)
    assert few.rng(a).integers(1 << 30) != SamplingContext({"a": a}, 2).rng(a).integers(1 << 30)
    assert many.rng(a).integers(1 << 30) != many.rng(b).integers(1 << 30)
    assert few.ref(a, 2) == FrameRef("a", 2)
