"""What is wrong with a data set: every frame decoded, every label read, scenes compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vidseg.datasets.base import Dataset
from vidseg.datasets.groups_file import Groups, read_groups
from vidseg.datasets.scenes import check_scenes
from vidseg.errors import BadRowsError, VidsegError
from vidseg.tasks.segmentation.rasterise import FOREGROUND, overview_size, rasterise
from vidseg.types import Labels, Size, Video, labelled_frames
from vidseg.utils.text import is_printable

SHOWN = 10
"""Findings of one kind and video that are listed; the rest is counted."""

_NOTHING = "no video shows any foreground: nothing can be trained or scored"

Tick = Callable[[Video], None]


class Finding(NamedTuple):
    """One thing that the check found.

    Attributes:
        wrong: True for a fault, False for what is usual or meant but worth knowing.
        video: name of the video, empty where it is about several or does not open.
        text: what it is and where: file, row or frame.
        times: how many it stands for.
    """

    wrong: bool
    video: str
    text: str
    times: int = 1


class Examined(NamedTuple):
    """What was looked at.

    Attributes:
        findings: in the order of the videos, those about several videos last.
        videos: number of videos, those that do not open included.
        frames: number of frames that were decoded.
    """

    findings: list[Finding]
    videos: int
    frames: int


def examine(
    dataset: Dataset, tick: Tick = lambda video: None, groups: str | None = None
) -> Examined:
    """Look at every frame of a data set, and at the labels of those that have some.

    Faults are: a video that does not open (frames without labels, labels without frames, a
    malformed row), frames or labels that cannot be read, numbers of frames that contradict each
    other, boxes outside of their frame, videos of different groups that share frames or show one
    place, and no foreground in any video.

    Args:
        dataset: the data set.
        tick: called after each frame.
        groups: CSV file with a person's group of every video.

    Raises:
        VidsegError: the data set cannot be listed at all.
    """
    survey = getattr(dataset, "survey", None)
    tried: list[Video | VidsegError] = list(survey() if survey else dataset.videos())
    videos = [each for each in tried if not isinstance(each, VidsegError)]
    findings = [one for each in tried if isinstance(each, VidsegError) for one in _refusals(each)]
    given = read_groups(groups, [video.name for video in videos]) if groups else Groups({}, ())
    findings += [Finding(False, "", note) for note in given.notes]
    sound, frames, blank = [], 0, bool(videos) and not findings
    for video in videos:
        found, read, foreground = _examine(video, tick)
        findings += found
        frames += read
        blank &= foreground is False
        if not any(each.wrong for each in found if each.text not in _notes(video)):
            sound.append(video)
    if len(videos) == len(tried):
        findings += _general(dataset, videos)
    if blank:
        findings.append(Finding(True, "", _NOTHING))
    return Examined(findings + list(_together(videos, sound, given.by_video)), len(tried), frames)


def _notes(video: Video) -> list[str]:
    """Return the notes of a video, those that need its length, and its questions."""
    later: Callable[[], Sequence[str]] = getattr(video, "label_notes", tuple)
    asked = [f"{what}; {hint}" for what, hint in getattr(video, "questions", ())]
    try:
        return [*asked, *getattr(video, "notes", ()), *later()]
    except VidsegError:
        return [*asked, *getattr(video, "notes", ())]


def _refusals(error: VidsegError) -> list[Finding]:
    """Return the faults for which a video does not open."""
    each = error.faults if isinstance(error, BadRowsError) else (error,)
    return _listed("", [str(one) for one in each])


def _examine(video: Video, tick: Tick) -> tuple[list[Finding], int, bool | None]:
    """Return what is found in one video, how many frames decode, and whether it has foreground.

    The last is None where labels cannot be read.
    """
    try:
        length, size, _ = video.probe()
    except VidsegError as error:
        return [Finding(True, video.name, str(error))], 0, None
    getattr(video, "look_at_all_labels", tuple)()
    mismatches = {*getattr(video, "mismatches", ()), *getattr(video, "label_faults", tuple)()}
    findings = [Finding(note in mismatches, video.name, note) for note in _notes(video)]
    broken = list(_broken_frames(video, length, size, tick))
    labels = _LabelCheck(video)
    for texts in (broken, labels.faults, labels.outside):
        findings += _listed(video.name, texts)
    findings += [Finding(False, video.name, text) for text in labels.remarks()]
    foreground = labels.foreground or (None if labels.faults else False)
    return findings, length - len(broken), foreground


def _listed(video: str, faults: Sequence[str]) -> list[Finding]:
    """Return the first faults of one kind, and how many more there are."""
    found = [Finding(True, video, text) for text in faults[:SHOWN]]
    more = len(faults) - SHOWN
    if more > 0:
        found.append(Finding(True, video, f"and {more} more like the last", more))
    return found


def _broken_frames(video: Video, length: int, size: Size, tick: Tick) -> Iterator[str]:
    index = 0
    while index < length:
        try:
            for image in video.frames(range(index, length)):
                if image.dtype != np.uint8 or image.shape != (*size, 3):
                    yield f"frame {index} is {image.dtype} {image.shape}, not uint8 {(*size, 3)}"
                index += 1
                tick(video)
            if index < length:
                yield f"ends after {index} frames, {length} were found before"
                return
        except VidsegError as error:
            yield f"frame {index}: {error}"
            index += 1
            tick(video)


class _LabelCheck:
    """Reads the labels of every labelled frame of a video.

    Attributes:
        faults: labels that cannot be read or drawn.
        outside: boxes of which no part is in the frame.
        foreground: whether a label shows some.
    """

    def __init__(self, video: Video) -> None:
        self.faults: list[str] = []
        self.outside: list[str] = []
        self._boxes = self._crossing = 0
        self.foreground = False
        for index in labelled_frames(video):
            try:
                labels = video.labels(index)
                drawn = rasterise(labels, overview_size(labels.size), where=f"frame {index}")
            except VidsegError as error:
                self.faults.append(f"frame {index}: {error}")
                continue
            self.foreground |= bool((drawn == FOREGROUND).any())
            self._look_at_boxes(index, labels)

    def _look_at_boxes(self, index: int, labels: Labels) -> None:
        if labels.boxes is None or labels.mask is not None:
            return
        height, width = labels.size
        start = labels.boxes[:, :2] - labels.origin
        stop = start + labels.boxes[:, 2:]
        end = np.array([width, height])
        out = np.any((stop <= 0) | (start >= end), axis=1)
        crossing = np.any((start < 0) | (stop > end), axis=1) & ~out
        self._boxes += len(start)
        self._crossing += int(crossing.sum())
        for row in np.flatnonzero(out):
            track = "" if labels.ids is None else f" of track {labels.ids[row]}"
            sides = ", ".join(f"{side:g}" for side in labels.boxes[row])
            self.outside.append(
                f"frame {index}: the box{track} ({sides}) lies outside of the {labels.size} frame"
            )

    def remarks(self) -> Iterator[str]:
        """Yield what is no fault."""
        if self._crossing:
            yield f"{self._crossing} of {self._boxes} boxes reach over the border and are cut there"
        if not self.foreground and not self.faults:
            yield "shows no foreground at all: it leaves both arms of every comparison"


def _general(dataset: Dataset, videos: Iterable[Video]) -> list[Finding]:
    """Return the data set's own notes without those of its videos."""
    names = tuple(f"{video.name}: " for video in videos)
    notes: Sequence[str] = getattr(dataset, "notes", list)()
    return [Finding(False, "", note) for note in notes if not note.startswith(names)]


def _faulty(count: int) -> str:
    return "one faulty video was" if count == 1 else f"{count} faulty videos were"


def _together(
    videos: Sequence[Video], sound: Sequence[Video], groups: dict[str, str]
) -> Iterator[Finding]:
    """Yield names that are there twice, and scenes that are there under several groups."""
    for video in videos:
        if not is_printable(video.name):
            text = "the name holds a line break or another control character"
            yield Finding(True, video.name, text)
    twice = [name for name, count in Counter(v.name for v in videos).items() if count > 1]
    for name in twice:
        yield Finding(True, name, "two videos have this name")
    if twice:
        return
    scenes = check_scenes(sound, groups=groups)
    for text in scenes.lines:
        yield Finding(text not in scenes.notes, "", text)
    if len(sound) < len(videos):
        yield Finding(
            False,
            "",
            f"{_faulty(len(videos) - len(sound))} not compared with the others' pictures",
        )
