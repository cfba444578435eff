"""What a split that leaks adds to the score: the same test pictures, with and without the leak."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidseg.curate.audit.given import GivenSplit
from vidseg.datasets.base import labelled_frames
from vidseg.errors import DataError
from vidseg.experiment.config import RunConfig, Setting
from vidseg.experiment.experiment import Experiment
from vidseg.experiment.ledger import Ledger
from vidseg.experiment.open import OpenDataset, create_dataset, open_experiment
from vidseg.experiment.splits import Fold
from vidseg.experiment.stages import MODEL
from vidseg.store import Store
from vidseg.tasks.base import Counts
from vidseg.tasks.means import mean_over_groups
from vidseg.types import Image, Labels, Video, VideoInfo
from vidseg.utils.progress import Progress
from vidseg.utils.text import plural

FOLDS = 5
"""At most so many models are trained without the scenes that they are tested on."""


@dataclass(frozen=True)
class Price:
    """What the same test pictures score with and without their scenes in training.

    Attributes:
        score: name of the score, a share of 1.
        given: score of the model that is trained on the given training pictures.
        disjoint: score of models that are trained on those of other scenes.
        by_scene: (scene, given, disjoint) of each scene.
        frames: pictures that are trained on and tested on, of each video and side at most.
        pictures: numbers of pictures that are trained on, and tested on.
    """

    score: str
    given: float
    disjoint: float
    by_scene: tuple[tuple[str, float, float], ...]
    frames: int
    pictures: tuple[int, int]

    @property
    def points(self) -> float:
        """By how many points of 100 the given split flatters."""
        return 100 * (self.given - self.disjoint)

    def text(self, label: str) -> str:
        """Return the finding in one sentence."""
        how = "flattered by" if self.points >= 0.05 else "not flattered: it differs by"
        scenes, lower = len(self.by_scene), sum(b < a for _, a, b in self.by_scene)
        among = f"{lower} of {scenes} {plural('scene', scenes)}"
        return (
            f"your score is {how} {self.points:.1f} points: {label} {100 * self.given:.1f} on the "
            f"given split, {100 * self.disjoint:.1f} on the same pictures without their scenes in "
            f"training (lower in {among})"
        )


class Priced(NamedTuple):
    """Where and with what a split is priced.

    Attributes:
        config: extractor, classifier, sizes; its data set has the labels.
        store, ledger, progress: of the experiment.
        frames: of each video and side at most so many, evenly spaced.
    """

    config: RunConfig
    store: Store
    ledger: Ledger
    progress: Progress
    frames: int


@dataclass(frozen=True, eq=False)
class Part:
    """Some frames of a video, as a video of their own."""

    video: Video
    name: str
    group: str
    indices: tuple[int, ...]

    @property
    def image_key(self) -> str:
        """Hash of the video's frames and of which they are."""
        return self._key(self.video.image_key)

    @property
    def label_key(self) -> str:
        """Hash of the video's labels and of which frames they are of."""
        return self._key(self.video.label_key)

    def _key(self, key: str) -> str:
        return hashlib.sha256(f"{key} {self.indices}".encode()).hexdigest()

    def probe(self) -> VideoInfo:
        """Return number and size of the frames."""
        return self.video.probe()._replace(length=len(self.indices))

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield frames of the part."""
        return self.video.frames([self.indices[index] for index in indices])

    def labels(self, index: int, source: str = "truth") -> Labels:
        """Return the labels of a frame of the part."""
        return self.video.labels(self.indices[index], source)


def price(split: GivenSplit, scenes: Sequence[int], how: Priced) -> Price:
    """Train on the given split and without the scenes of the test pictures; score both.

    Raises:
        DataError: the data set's videos are not the split's pictures, or all are of one scene.
    """
    parts = _parts(split, scenes, how)
    train = [part for part in parts if part.group.endswith("/train")]
    held = [part for part in parts if part.group.endswith("/test")]
    tested = sorted({part.group.removesuffix("/test") for part in held})
    known = sorted({part.group.removesuffix("/train") for part in train})
    if not held or not train:
        raise DataError("no labelled picture to train on, or none to test on", where="--price")
    folds = _folds(tested, known)
    groups = {part.name: part.group for part in parts}
    spec = how.config.dataset
    opened = OpenDataset(spec, tuple(parts), groups, ())
    experiment = open_experiment(
        how.config, opened, store=how.store, ledger=how.ledger, progress=how.progress
    )
    setting = how.config.setting
    scored = [_scores(experiment, setting, fold, i, len(folds)) for i, fold in enumerate(folds)]
    given, rest = _by_scene(scored[0]), _by_scene([c for own in scored[1:] for c in own])
    primary = experiment.task.primary
    rows = [(s, given[s][primary], rest[s][primary]) for s in given if primary in given[s]]
    both = [row for row in rows if not np.isnan(row[1:]).any()]
    if not both:
        raise DataError("no test picture shows any foreground", where="--price")
    means = np.mean([row[1:] for row in both], axis=0)
    counts = tuple(sum(len(part.indices) for part in side) for side in (train, held))
    return Price(
        primary, float(means[0]), float(means[1]), tuple(both), how.frames, (counts[0], counts[1])
    )


def _folds(tested: Sequence[str], known: Sequence[str]) -> list[Fold]:
    """Return the given split as a fold, then folds that hold out the scenes they test."""
    everything = tuple(f"{scene}/train" for scene in known)
    folds = [Fold(0, everything, tuple(f"{scene}/test" for scene in tested))]
    count = min(FOLDS, len(tested))
    for place in range(count):
        own = tested[place::count]
        train = tuple(f"{scene}/train" for scene in known if scene not in own)
        if not train:
            raise DataError(
                "all training pictures are of the scenes that are tested",
                where="--price",
                hint="there is no second scene to compare with; add pictures of other scenes",
            )
        folds.append(Fold(place + 1, train, tuple(f"{scene}/test" for scene in own)))
    return folds


def _scores(
    experiment: Experiment, setting: Setting, fold: Fold, number: int, count: int
) -> list[Counts]:
    label = "given split" if not number else f"without the scenes {number}/{count - 1}"
    fitted = experiment.fit(setting, fold, label)
    return list(experiment.score({MODEL: fitted}, fold, label)[MODEL].counts[MODEL])


def _by_scene(counts: Sequence[Counts]) -> dict[str, dict[str, float]]:
    rows = [(each.group.removesuffix("/test"), each.scores()) for each in counts]
    return {
        scene: mean_over_groups([row for row in rows if row[0] == scene])
        for scene in dict.fromkeys(scene for scene, _ in rows)
    }


def _parts(split: GivenSplit, scenes: Sequence[int], how: Priced) -> list[Part]:
    """Return the sides of the data set's videos, as videos whose groups are scene and side."""
    where = {
        picture.file.resolve(): (scenes[place], picture.side == split.sides[0])
        for place, picture in enumerate(split.pictures)
    }
    parts, unknown = [], 0
    for video in create_dataset(how.config.dataset).videos():
        files: Sequence[Path] = getattr(video, "frame_files", ())
        frames: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for index in labelled_frames(video) if files else ():
            own = where.get(files[index].resolve())
            if own is None:
                unknown += 1
            else:
                frames[own].append(index)
        for (scene, trained), indices in sorted(frames.items()):
            chosen = np.linspace(0, len(indices) - 1, min(how.frames, len(indices)))
            side = "train" if trained else "test"
            picked = tuple(indices[round(at)] for at in chosen)
            parts.append(
                Part(video, f"{video.name}/{scene}/{side}", f"scene{scene}/{side}", picked)
            )
    if not parts:
        raise DataError(
            "the data set has none of the pictures of the split",
            where="--price",
            hint="name the one that labels them with --dataset",
        )
    return parts
