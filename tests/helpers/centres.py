"""A second task for tests: to find the centres of objects; one score of it is no share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.errors import UsageError
from vidseg.plugins.spec import Spec
from vidseg.tasks.base import Readings, Row, Score, ScoredVideo, Tally, Words
from vidseg.tasks.means import mean_over_groups
from vidseg.types import Image, Labels, Network, Scores, Size, State, TrainingSet, Video

Target = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Everywhere:
    """A baseline that finds an object in every pixel."""

    def batch_scores(self, images: Sequence[Image], size: Size, device: str) -> Scores:
        return np.ones((len(images), *size), np.float32)

    def export(self) -> State:
        return {}


@dataclass
class Hits:
    """Centres that were found, that were missed, and pixels far from any that were called one."""

    video: str
    group: str
    frames: list[int] = field(default_factory=list)
    rows: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def positive_share(self) -> float:
        with_objects = sum(hit + missed > 0 for hit, missed, _ in self.rows)
        return with_objects / max(1, len(self.rows))

    def add(self, frame: int, scores: Scores, reference: Target, threshold: float) -> None:
        found = scores > threshold
        near = np.zeros(found.shape, bool)
        hits = centres = 0
        for y, x in np.argwhere(reference > 0):
            window = slice(max(0, y - 2), y + 3), slice(max(0, x - 2), x + 3)
            near[window] = True
            centres += 1
            hits += bool(found[window].any())
        self.frames.append(frame)
        self.rows.append((hits, centres - hits, int((found & ~near).sum())))

    def _of(self, rows: Sequence[tuple[int, int, int]]) -> dict[str, float]:
        hits, missed, alarms = np.sum(rows, axis=0).tolist()
        recall = hits / (hits + missed) if hits + missed else float("nan")
        return {"found": recall, "alarms": alarms / len(rows)}

    def scores(self) -> dict[str, float]:
        return self._of(self.rows)

    def frame_scores(self, name: str) -> npt.NDArray[np.float64]:
        return np.array([self._of([row])[name] for row in self.rows])

    def merged(self, other: Hits) -> Hits:
        pairs = sorted(zip(self.frames + other.frames, self.rows + other.rows, strict=True))
        return Hits(self.video, self.group, [f for f, _ in pairs], [r for _, r in pairs])

    def to_json(self) -> Row:
        rows = [list(row) for row in self.rows]
        return {"video": self.video, "group": self.group, "frames": self.frames, "rows": rows}


@dataclass(frozen=True)
class Chosen:
    threshold: float = 0.0
    facts: dict[str, float] = field(default_factory=lambda: {"threshold": 0.0})
    text: str = "threshold 0"


class Centres:
    """Which pixels are centres of objects; a :class:`vidseg.tasks.base.Task`."""

    name: str = "centres"
    scores: Mapping[str, Score] = {
        "found": Score("found objects"),
        "alarms": Score("alarms a frame", share=False),
    }
    primary: str = "found"
    secondary: str | None = None
    shown: Sequence[str] = ("alarms",)
    report_order: Sequence[str] = ("found", "alarms")
    readings: Sequence[Readings] = ()
    words: Words = Words("no object", "pixels that are centres")
    refinements: Sequence[str] = ("box",)
    suffix: str = ".txt"
    columns: Sequence[tuple[str, str]] = (("string", "centres"),)

    def target(self, labels: Labels, size: Size, *, where: object = "labels") -> Target:
        target = np.full(size, -1, np.int8)
        assert labels.boxes is not None
        for left, top, width, height in labels.boxes:
            x = (left + width / 2 - labels.origin) * size.width / labels.size.width
            y = (top + height / 2 - labels.origin) * size.height / labels.size.height
            if 0 <= x < size.width and 0 <= y < size.height:
                target[int(y), int(x)] = 1
        return target

    def refine_rule(self, how: str) -> tuple[str, ...] | None:
        return None

    def refine(
        self, labels: Labels, size: Size, how: str, image: Image | None, *, where: object
    ) -> tuple[Target, Tally]:
        return self.target(labels, size, where=where), Tally(0, 0)

    def check(self, train: TrainingSet) -> dict[str, float]:
        return {"train_objects": float(sum((train.mask(ref) > 0).sum() for ref in train.refs))}

    def baselines(self, train: TrainingSet) -> dict[str, Network]:
        return {"everywhere": Everywhere()}

    def check_prior(self, classifier: Spec, prior: float | None) -> None:
        if prior is not None:
            raise UsageError("centres have no prior", where="prior")

    def weighted(
        self, classifier: Spec, prior: float, facts: Mapping[str, float]
    ) -> tuple[Spec, dict[str, float]]:
        raise UsageError("centres have no prior", where="prior")

    def best_threshold(self, groups: Sequence[Sequence[Hits]]) -> Chosen:
        return Chosen()

    def margin(self, videos: Iterable[ScoredVideo]) -> float:
        return 2.0

    def reference(self, target: Target, margin: float) -> Target:
        return target

    def counts(self, video: str, group: str) -> Hits:
        return Hits(video, group)

    def read_counts(self, data: Mapping[str, Any]) -> Hits:
        hits, missed, alarms = zip(*data["rows"], strict=True)
        rows = list(zip(hits, missed, alarms, strict=True))
        return Hits(data["video"], data["group"], list(data["frames"]), rows)

    def summary(self, videos: Sequence[Hits]) -> dict[str, float]:
        return mean_over_groups((video.group, video.scores()) for video in videos)

    def curve(self, videos: Sequence[Hits]) -> None:
        return None

    def choose_frames(self, videos: Sequence[Hits]) -> list[tuple[str, str, int]]:
        return [("first", video.video, video.frames[0]) for video in videos]

    def draw(
        self, image: Image, target: Target, scores: Scores, threshold: float, text: str
    ) -> Image:
        return image

    def contact_sheet(
        self, videos: Sequence[Video], groups: Mapping[str, str], frames: int
    ) -> Image:
        return np.zeros((8, 8, 3), np.uint8)

    def describe(self, labels: Iterable[Labels]) -> Row:
        return {"objects": sum(len(one.boxes) for one in labels if one.boxes is not None)}

    def about_labels(self, dataset: str) -> str:
        return ""

    def decide(self, scores: Scores, threshold: float) -> npt.NDArray[np.int64]:
        return np.argwhere(scores > threshold)

    def draw_output(self, image: Image, output: npt.NDArray[np.int64]) -> Image:
        drawn = image.copy()
        drawn[output[:, 0], output[:, 1]] = 255
        return drawn

    def encode(self, output: npt.NDArray[np.int64]) -> bytes:
        return "".join(f"{x},{y}\n" for y, x in output).encode()

    def answer(self, output: npt.NDArray[np.int64]) -> Row:
        return {"centres": self.encode(output).decode()}
