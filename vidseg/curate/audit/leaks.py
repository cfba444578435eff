"""Which test pictures of a split were seen in training: copies, neighbours, the same place."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidseg.curate.audit.given import GivenSplit
from vidseg.datasets.alike import Alike, find_alike
from vidseg.datasets.descriptors import is_flat
from vidseg.datasets.looks import Looks
from vidseg.datasets.picture_names import FoundVideo, describe, find_videos
from vidseg.errors import DataError
from vidseg.media.image_folder import ImageSequence
from vidseg.types import Image, Labels, Memory, Size, VideoInfo
from vidseg.utils.progress import Progress
from vidseg.utils.stop import check_stop
from vidseg.utils.text import plural

MOST_COMPARED = 4000
"""Videos whose pictures are compared; of more, so many evenly spaced ones."""


class Reason(StrEnum):
    """Why a test picture was seen in training, the surest first."""

    COPY = "identical files"
    VIDEO = "frames of one video"
    PLACE = "one place"


class Leak(NamedTuple):
    """A test picture and the training picture that gives it away.

    Attributes:
        held, train: indices of the pictures.
        reason: why.
        apart: frames between them, where both are numbered frames of one video.
        detail: what a caption says of it.
    """

    held: int
    train: int
    reason: Reason
    apart: int | None
    detail: str


@dataclass(frozen=True)
class Leaks:
    """What was found.

    Attributes:
        videos: pictures that are frames of one video, by name.
        scenes: of each picture: number of its scene, a video or several that show one place.
        leaks: at most one for each picture that is not trained on, the surest.
        notes: how videos were found, and what was not compared.
    """

    videos: tuple[FoundVideo, ...]
    scenes: tuple[int, ...]
    leaks: tuple[Leak, ...]
    notes: tuple[str, ...]


@dataclass(eq=False)
class Clip:
    """The pictures of one video, as the comparison of scenes takes them."""

    name: str
    files: Sequence[Path]
    hashes: Sequence[str]
    broken: list[str] = field(default_factory=list)
    group = label_key = ""

    @cached_property
    def image_key(self) -> str:
        """Hash of the files."""
        return hashlib.sha256(" ".join(self.hashes).encode()).hexdigest()

    def probe(self) -> VideoInfo:
        """Return the number of pictures; they may differ in size."""
        return VideoInfo(len(self.files), Size(1, 1))

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield pictures; a broken one is black and noted."""
        for index in indices:
            try:
                yield read_picture(self.files[index])
            except DataError as error:
                self.broken.append(f"not compared: {error}")
                yield np.zeros((16, 16, 3), np.uint8)

    def labels(self, index: int, source: str = "truth") -> Labels:
        """Refuse: scenes are compared by pictures alone.

        Raises:
            DataError: always.
        """
        raise DataError("has no labels: it is compared by its pictures", where=self.name)


def read_picture(file: Path) -> Image:
    """Return a picture, ``uint8 (H, W, 3)``.

    Raises:
        DataError: it cannot be read.
    """
    return next(iter(ImageSequence((file,)).frames([0])))


def find_leaks(
    split: GivenSplit, near: int | None, pattern: str, memory: Memory | None, progress: Progress
) -> Leaks:
    """Find the test pictures that were seen in training.

    Args:
        split: the split; what is not on its first side is a test picture.
        near: frames of one video count when they are at most so many apart; None: always.
        pattern: how frames of one video are found by their names.
        memory: keeps what pictures look like.
        progress: where to tell how far it is.
    """
    names = [picture.name for picture in split.pictures]
    videos = find_videos(names, pattern, default=split.name)
    hashes = _hashes(split, progress)
    clips = [
        Clip(v.name, [split.pictures[i].file for i in v.pictures], [hashes[i] for i in v.pictures])
        for v in videos
    ]
    scenes, twins = _Scenes(videos), _twins(split, hashes)
    for one, other in twins.values():
        scenes.join(one, other)
    chosen = sorted({round(at) for at in np.linspace(0, len(clips) - 1, MOST_COMPARED)})
    chosen = chosen if len(clips) > MOST_COMPARED else list(range(len(clips)))
    compared = [clips[i] for i in chosen]
    looks = Looks(lambda video, indices: video.frames(indices), memory, exact=False)
    alike = [
        pair._replace(one=chosen[pair.one], other=chosen[pair.other])
        for pair in find_alike(compared, lambda a, b: True, looks, memory, progress)
        if pair.likeness.same_place
    ]
    for pair in alike:
        scenes.join(videos[pair.one].pictures[0], videos[pair.other].pictures[0])
    leaks = _leaks(split, videos, near, twins, alike)
    notes = [*describe(videos, pattern), *(line for clip in clips for line in clip.broken)]
    if len(compared) < len(clips):
        notes.append(f"{len(compared)} of {len(clips)} videos were compared by their pictures")
    return Leaks(tuple(videos), scenes.numbers(), tuple(leaks), tuple(notes))


class _Scenes:
    """Disjoint sets of pictures: those of one video, then those of one place."""

    def __init__(self, videos: Sequence[FoundVideo]) -> None:
        self._root = list(range(sum(len(video.pictures) for video in videos)))
        for video in videos:
            for picture in video.pictures:
                self._root[picture] = min(video.pictures)

    def find(self, picture: int) -> int:
        while self._root[picture] != picture:
            picture = self._root[picture]
        return picture

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.find(one), self.find(other)))
        self._root[high] = low

    def numbers(self) -> tuple[int, ...]:
        roots = [self.find(picture) for picture in range(len(self._root))]
        order = {root: number for number, root in enumerate(dict.fromkeys(roots))}
        return tuple(order[root] for root in roots)


def _hashes(split: GivenSplit, progress: Progress) -> list[str]:
    found = []
    with progress.task("reading the files of the split", len(split.pictures)) as bar:
        for picture in split.pictures:
            check_stop()
            try:
                content = picture.file.read_bytes()
            except OSError as error:
                raise DataError(f"cannot be read ({error.strerror})", where=picture.file) from error
            found.append(hashlib.sha256(content).hexdigest())
            bar.advance()
    return found


def _twins(split: GivenSplit, hashes: Sequence[str]) -> dict[int, tuple[int, int]]:
    """Return, for each test picture whose file is trained on too: (it, the training picture)."""
    train: dict[str, int] = {}
    for place, picture in enumerate(split.pictures):
        if picture.side == split.sides[0]:
            train.setdefault(hashes[place], place)
    found, flat = {}, {}
    for place, picture in enumerate(split.pictures):
        own = hashes[place]
        if picture.side != split.sides[0] and own in train:
            if own not in flat:
                flat[own] = _is_empty(picture.file)
            if not flat[own]:
                found[place] = (place, train[own])
    return found


def _is_empty(file: Path) -> bool:
    try:
        return is_flat(read_picture(file))
    except DataError:
        return True


def _leaks(
    split: GivenSplit,
    videos: Sequence[FoundVideo],
    near: int | None,
    twins: dict[int, tuple[int, int]],
    alike: Sequence[Alike],
) -> list[Leak]:
    found = {
        held: Leak(held, train, Reason.COPY, 0, Reason.COPY.value) for held, train in twins.values()
    }
    for video in videos:
        for leak in _neighbours(split, video, near):
            found.setdefault(leak.held, leak)
    for leak in _places(split, videos, alike):
        found.setdefault(leak.held, leak)
    return [found[held] for held in sorted(found)]


def _neighbours(split: GivenSplit, video: FoundVideo, near: int | None) -> Iterator[Leak]:
    """Yield, for each test picture of a video, the nearest one that is trained on."""
    train = [i for i, p in enumerate(video.pictures) if _trained(split, p)]
    if not train:
        return
    numbers = video.frames or tuple(range(len(video.pictures)))
    times = [numbers[i] for i in train]
    for place, picture in enumerate(video.pictures):
        if _trained(split, picture):
            continue
        at = bisect_left(times, numbers[place])
        nearest = min(
            train[max(0, at - 1) : at + 1], key=lambda i: abs(numbers[i] - numbers[place])
        )
        apart = abs(numbers[nearest] - numbers[place]) if video.frames else None
        if near is not None and (apart is None or apart > near):
            continue
        detail = f"{video.name}" + (
            "" if apart is None else f", {apart} {plural('frame', apart)} apart"
        )
        yield Leak(picture, video.pictures[nearest], Reason.VIDEO, apart, detail)


def _places(
    split: GivenSplit, videos: Sequence[FoundVideo], alike: Sequence[Alike]
) -> Iterator[Leak]:
    """Yield, for each test picture of a video that shows the place of another one, one of that."""
    surest: dict[int, Leak] = {}
    rank: dict[int, int] = defaultdict(int)
    for pair in alike:
        for video, other, frame in (
            (pair.one, pair.other, pair.frames[1]),
            (pair.other, pair.one, pair.frames[0]),
        ):
            train = [p for p in videos[other].pictures if _trained(split, p)]
            if not train:
                continue
            shown = videos[other].pictures[frame]
            shown = shown if _trained(split, shown) else train[0]
            for held in videos[video].pictures:
                if not _trained(split, held) and pair.likeness.inliers > rank[held]:
                    rank[held] = pair.likeness.inliers
                    detail = str(pair.likeness)
                    surest[held] = Leak(held, shown, Reason.PLACE, None, detail)
    yield from surest.values()


def _trained(split: GivenSplit, picture: int) -> bool:
    return split.pictures[picture].side == split.sides[0]
