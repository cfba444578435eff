"""MOTChallenge sequences (MOT15, MOT16, MOT17, MOT20): frames and boxes of people.

Layout: ``SEQUENCE/img1/000001.jpg ...``, ``SEQUENCE/gt/gt.txt`` and, optional,
``SEQUENCE/seqinfo.ini``. A row of ``gt.txt`` is ``frame, id, left, top, width, height, ...``;
frames and pixels count from 1, boxes are amodal and may reach over the border.

* MOT15 has 10 columns: ``conf, x, y, z``. Every box is a person; conf 0 means *ignore*: such boxes
  count neither as foreground nor as background.
* MOT16, MOT17 and MOT20 have 9: ``active, class, visibility``. A box counts when ``active`` is not
  0 and its class is wanted (1 is a pedestrian); all others are background, as in the paper, unless
  ``ignore_classes`` or ``min_visibility`` say that they count for nothing.
* VisDrone has 10: ``score, category, truncation, occlusion``. Score 0 and category 0 are ignored.

Which of these a file is shows in its columns (:mod:`vidseg.datasets.mot_rows`), which picture a row
belongs to in its numbers (:mod:`vidseg.datasets.mot_frames`).

Citations: Leal-Taixe et al. 2015 (arXiv:1504.01942), Milan et al. 2016 (arXiv:1603.00831),
Dendorfer et al. 2020 (arXiv:2003.09003).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vidseg.datasets.base import BoxLabels, ClassCount, VideoBoxes
from vidseg.datasets.files import FileDataset, FrameFiles, FrameVideo, GroundTruth
from vidseg.datasets.label_states import LabelledFrames, RowFrames
from vidseg.datasets.mot_classes import ClassRows, class_rows, total
from vidseg.datasets.mot_frames import Match, match_rows
from vidseg.datasets.mot_rows import Format, read_rows
from vidseg.datasets.mot_rule import (
    Classes,
    IgnoreClasses,
    LabelRule,
    Visibility,
    row_notes,
    select_rows,
)
from vidseg.datasets.selection import Patterns, Selection
from vidseg.datasets.seqinfo import SeqInfo, read_seqinfo
from vidseg.errors import DataError
from vidseg.media.image_folder import (
    ImageSequence,
    check_numbering,
    content_key,
    list_images,
    locate,
    name_of,
    natural_key,
    numbers_of,
)
from vidseg.types import Question, Size, VideoInfo

ORIGIN = 1.0
"""MOT's first pixel has coordinate 1 (Milan et al. 2016, section 4.2)."""

_DETECTOR = re.compile(r"-(DPM|FRCNN|SDP)$")
"""MOT17 has each sequence three times; the copies share their frames, so they share a group."""

_READER = "mot 1"
_SEQUENCES, _ANNOTATIONS = "sequences", "annotations"
"""VisDrone's folders: ``sequences/NAME/0000001.jpg`` and ``annotations/NAME.txt``."""


class Mot(FileDataset):
    """MOTChallenge sequences: a folder of them, one of them, or a folder with ``train/``.

    VisDrone's folders ``sequences`` and ``annotations`` are read as well.

    Args:
        path: the folder. A relative one is looked up in the current directory, then in
            VIDSEG_DATA.
        classes: classes that are foreground, by number or by name: those in gt/labels.txt (one a
            line, the first is class 1), or MOTChallenge's own: 1 is a pedestrian, 2 a person on a
            vehicle, 7 a static person. MOT15's files hold people only.
        ignore_classes: classes that count neither as foreground nor as background; mot for
            MOTChallenge's own: 2, 7, 8, 12 (in MOT20 also 6), as far as they are not foreground.
            None by default, as in the paper.
        min_visibility: foreground boxes that are visible to a smaller share are ignored, 0..1;
            files of 9 columns only. 0 ignores none, as in the paper.
        labelled: which frames are labelled: all (those without rows are empty, the convention),
            rows (those with rows), or every:N (every N-th, and all with rows). Without it all;
            where the rows look like key frames, training waits until it is given.
        format: what the columns of gt.txt mean; auto finds it, and refuses where it could be
            either.
        match: which picture a row belongs to: the one of its number, or that of its place; auto
            takes the number where every row finds its picture, and the place where only that fits.
        include: names of the sequences to use, or patterns such as MOT17-*-SDP; without it all.
        exclude: names or patterns of sequences to leave out.
    """

    def __init__(
        self,
        path: str,
        classes: Classes = (1,),
        ignore_classes: IgnoreClasses = (),
        min_visibility: Visibility = 0.0,
        labelled: LabelledFrames | None = None,
        format: Format = "auto",  # noqa: A002 - the name of the option
        match: Match = "auto",
        include: Patterns = (),
        exclude: Patterns = (),
    ) -> None:
        self.root = locate(path, what=f"mot:{path}")
        chosen = Selection(include, exclude, f"mot:{path}")
        self._folders = chosen.of(_find_sequences(self.root), name_of)
        rule = LabelRule.of(classes, ignore_classes, min_visibility)
        self._read = _Reading(rule, labelled, format, match)

    def openings(self) -> list[Callable[[], FrameVideo]]:
        """Return what opens each sequence: frames, annotation and ``seqinfo.ini``."""
        return [partial(_open, folder, self._read) for folder in self._folders]

    def classes(self) -> list[ClassCount]:
        """Return the classes of all rows, and how often each occurs as what."""
        truths = (video.truth for video in self.videos())
        return total(truth.classes for truth in truths if isinstance(truth, MotTruth))


@dataclass(frozen=True)
class _Reading:
    """How box files are read."""

    rule: LabelRule
    labelled: str | None
    layout: Format
    match: Match


@dataclass(frozen=True, eq=False)
class MotTruth(GroundTruth):
    """The boxes that matter of a sequence.

    Attributes:
        boxes: ignored ones are MOT15's conf 0, and what the options name.
        rows: the frames that they label.
        origin: coordinate of the first pixel in them.
        seqinfo: the file, and the size that it states for the pictures.
        classes: the classes of all rows.
    """

    boxes: VideoBoxes
    rows: RowFrames
    origin: float
    seqinfo: tuple[Path, SeqInfo]
    classes: tuple[ClassRows, ...] = ()

    def key(self, images: FrameFiles) -> str:
        """Return the hash of the boxes, and of the frames that they refer to."""
        info = images.probe()
        origin = () if self.origin == ORIGIN else (self.origin,)
        states = self.rows.key
        return content_key(_READER, tuple(info.size), info.length, *self.boxes, *states, *origin)

    def labelled(self, info: VideoInfo) -> Sequence[int]:
        """Return the frames that have labels, ascending."""
        return self.rows.labelled(info.length)

    def notes(self, info: VideoInfo) -> tuple[str, ...]:
        """Return what the user should know of the frames without rows."""
        return self.rows.notes(info.length)

    def questions(self) -> tuple[Question, ...]:
        """Return whether frames without rows are empty, where it is not clear."""
        return self.rows.questions()

    def at(self, index: int, size: Size) -> BoxLabels:
        """Return the boxes of a frame."""
        return self.boxes.at(index, size, self.origin)

    def check(self, info: VideoInfo) -> None:
        """Refuse pictures of another size than ``seqinfo.ini`` states."""
        file, said = self.seqinfo
        width, height = said.width or info.size.width, said.height or info.size.height
        if (height, width) != tuple(info.size):
            raise DataError(
                f"imWidth and imHeight say {Size(height, width)}, the pictures are {info.size}: "
                "the boxes may be in the pixels of either",
                where=file,
                hint="if they fit the pictures, delete imWidth and imHeight",
            )


def _find_sequences(root: Path) -> list[Path]:
    if _is_sequence(root):
        return [root]
    if (root / _SEQUENCES).is_dir() and (root / _ANNOTATIONS).is_dir():
        found = [child for child in (root / _SEQUENCES).iterdir() if child.is_dir()]
        if found:
            return sorted(found, key=lambda child: natural_key(child.name))
    for place in (root, root / "train"):
        if place.is_dir():
            found = [child for child in place.iterdir() if child.is_dir() and _is_sequence(child)]
            if found:
                return sorted(found, key=lambda child: natural_key(child.name))
    state = "holds no MOT sequence" if any(root.iterdir()) else "is empty"
    raise DataError(
        f"{state}", where=root, hint="a sequence is a folder with img1/000001.jpg and gt/gt.txt"
    )


def _is_sequence(folder: Path) -> bool:
    signs = (folder / "seqinfo.ini", folder / "img1", folder / "gt" / "gt.txt")
    return any(sign.exists() for sign in signs)


def _open(folder: Path, reading: _Reading) -> FrameVideo:
    info = read_seqinfo(folder / "seqinfo.ini")
    pictures, truth_file = folder / info.folder, folder / "gt" / "gt.txt"
    if folder.parent.name == _SEQUENCES and not _is_sequence(folder):
        pictures, truth_file = folder, folder.parents[1] / _ANNOTATIONS / f"{folder.name}.txt"
    images = ImageSequence(list_images(pictures, info.suffix), info.fps)
    check_numbering(images.files)
    if not truth_file.is_file():
        _refuse_missing_truth(truth_file)
    rows = read_rows(truth_file, reading.layout)
    numbers = numbers_of(images.files)
    matched = match_rows(rows, images.files, numbers, announced=info.length, how=reading.match)
    mismatches = [*_other_length(info, len(images)), *matched.mismatches]
    name = name_of(folder)
    boxes = select_rows(rows, reading.rule, matched.places, sequence=name)
    columns = row_notes(rows, reading.rule, sequence=name)
    notes = [*info.notes, *mismatches, *matched.notes, *columns]
    counts = class_rows(rows, reading.rule, matched.places, sequence=name)
    states = RowFrames(reading.labelled, matched.places[matched.places >= 0])
    truth = MotTruth(boxes, states, rows.origin, (folder / "seqinfo.ini", info), counts)
    group = _DETECTOR.sub("", name)
    return FrameVideo(name, group, images, truth, tuple(notes), tuple(mismatches))


def _other_length(info: SeqInfo, length: int) -> list[str]:
    if info.length in (None, length):
        return []
    return [f"seqLength says {info.length}, {length} frames exist and are used"]


def _refuse_missing_truth(file: Path) -> None:
    hint = "every sequence needs gt/gt.txt"
    if file.parents[2].name == "test":
        hint = "test splits are published without labels: give the folder train instead"
    raise DataError("no ground truth", where=file, hint=hint)
