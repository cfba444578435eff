"""MOTChallenge sequences (MOT15, MOT16, MOT17, MOT20): frames and boxes of people.

Layout: ``SEQUENCE/img1/000001.jpg ...``, ``SEQUENCE/gt/gt.txt`` and, optional,
``SEQUENCE/seqinfo.ini``. A row of ``gt.txt`` is ``frame, id, left, top, width, height, ...``;
frames and pixels count from 1, boxes are amodal and may reach over the border.

* MOT15 has 10 columns: ``conf, x, y, z``. Every box is a person; conf 0 means *ignore*: such boxes
  count neither as foreground nor as background.
* MOT16, MOT17 and MOT20 have 9: ``active, class, visibility``. A box counts when it is active and
  of a wanted class (1 is a pedestrian); all others are background, as in the paper, unless
  ``ignore_classes`` or ``min_visibility`` say that they count for nothing.

Citations: Leal-Taixe et al. 2015 (arXiv:1504.01942), Milan et al. 2016 (arXiv:1603.00831),
Dendorfer et al. 2020 (arXiv:2003.09003).
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vidseg.datasets.base import BoxLabels, VideoBoxes
from vidseg.datasets.files import FileDataset, FrameFiles, FrameVideo, GroundTruth
from vidseg.datasets.label_states import LabelledFrames, RowFrames
from vidseg.datasets.mot_rows import (
    FRAME,
    Classes,
    IgnoreClasses,
    LabelRule,
    Visibility,
    read_rows,
    select_rows,
)
from vidseg.datasets.selection import Patterns, Selection
from vidseg.errors import DataError
from vidseg.media.image_folder import (
    ImageSequence,
    check_numbering,
    content_key,
    list_images,
    locate,
    name_of,
    natural_key,
)
from vidseg.types import Question, Size, VideoInfo

ORIGIN = 1.0
"""MOT's first pixel has coordinate 1 (Milan et al. 2016, section 4.2)."""

_DETECTOR = re.compile(r"-(DPM|FRCNN|SDP)$")
"""MOT17 has each sequence three times; the copies share their frames, so they share a group."""

_READER = "mot 1"


class Mot(FileDataset):
    """MOTChallenge sequences: a folder of them, one of them, or a folder with ``train/``.

    Args:
        path: the folder. A relative one is looked up in the current directory, then in
            VIDSEG_DATA.
        classes: classes that are foreground in files of 9 columns; 1 is a pedestrian, 2 a person
            on a vehicle, 7 a static person. Files of 10 columns hold people only.
        ignore_classes: classes that count neither as foreground nor as background in files of 9
            columns; mot for MOTChallenge's own: 2, 7, 8, 12 (in MOT20 also 6), as far as they
            are not foreground. None by default, as in the paper.
        min_visibility: foreground boxes that are visible to a smaller share are ignored, 0..1;
            files of 9 columns only. 0 ignores none, as in the paper.
        labelled: which frames are labelled: all (those without rows are empty, the convention),
            rows (those with rows), or every:N (every N-th, and all with rows). Without it all;
            where the rows look like key frames, training waits until it is given.
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
        include: Patterns = (),
        exclude: Patterns = (),
    ) -> None:
        self.root = locate(path, what=f"mot:{path}")
        chosen = Selection(include, exclude, f"mot:{path}")
        self._folders = chosen.of(_find_sequences(self.root), name_of)
        self._rule = LabelRule.of(classes, ignore_classes, min_visibility)
        self._labelled = labelled

    def openings(self) -> list[Callable[[], FrameVideo]]:
        """Return what opens each sequence: frames, annotation and ``seqinfo.ini``."""
        return [partial(_open, folder, self._rule, self._labelled) for folder in self._folders]


@dataclass(frozen=True, eq=False)
class MotTruth(GroundTruth):
    """The boxes that matter of a sequence.

    Attributes:
        boxes: their coordinates begin at 1; ignored ones are MOT15's conf 0.
        rows: the frames that they label.
    """

    boxes: VideoBoxes
    rows: RowFrames

    def key(self, images: FrameFiles) -> str:
        """Return the hash of the boxes, and of the frames that they refer to."""
        info = images.probe()
        return content_key(_READER, tuple(info.size), info.length, *self.boxes, *self.rows.key)

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
        return self.boxes.at(index, size, ORIGIN)


class _SeqInfo(NamedTuple):
    """What ``seqinfo.ini`` announces; every field has a default, the file is optional."""

    folder: str = "img1"
    suffix: str = ""
    length: int | None = None
    fps: float | None = None


def _find_sequences(root: Path) -> list[Path]:
    if _is_sequence(root):
        return [root]
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


def _open(folder: Path, rule: LabelRule, labelled: str | None) -> FrameVideo:
    info = _read_seqinfo(folder / "seqinfo.ini")
    images = ImageSequence(list_images(folder / info.folder, info.suffix), info.fps)
    check_numbering(images.files, first=1)
    truth_file = folder / "gt" / "gt.txt"
    if not truth_file.is_file():
        _refuse_missing_truth(truth_file)
    rows, lines = read_rows(truth_file)
    mismatches = []
    if info.length not in (None, len(images)):
        mismatches.append(f"seqLength says {info.length}, {len(images)} frames exist and are used")
    beyond = rows[:, FRAME] > len(images)
    if beyond.any():
        mismatches.append(_explain_beyond(truth_file, rows, lines, len(images), info.length))
    name = name_of(folder)
    rows = rows[~beyond]
    boxes = select_rows(rows, rule, sequence=name, file=truth_file)
    notes = [*mismatches, *(["no box is foreground"] if boxes.ignored.all() else [])]
    group = _DETECTOR.sub("", name)
    truth = MotTruth(boxes, RowFrames(labelled, rows[:, FRAME].astype(np.int64) - 1))
    return FrameVideo(name, group, images, truth, tuple(notes), tuple(mismatches))


def _refuse_missing_truth(file: Path) -> None:
    hint = "every sequence needs gt/gt.txt"
    if file.parents[2].name == "test":
        hint = "test splits are published without labels: give the folder train instead"
    raise DataError("no ground truth", where=file, hint=hint)


def _read_seqinfo(file: Path) -> _SeqInfo:
    if not file.is_file():
        return _SeqInfo()
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(file.read_text(encoding="utf-8-sig"))
        section = parser["Sequence"]
        return _SeqInfo(
            section.get("imDir", "img1").strip("/\\ "),
            section.get("imExt", ""),
            section.getint("seqLength", fallback=None),
            section.getfloat("frameRate", fallback=None),
        )
    except (configparser.Error, KeyError, ValueError) as error:
        raise DataError(
            f"is malformed ({error})", where=file, hint="mend it, or delete it: it is optional"
        ) from error


def _explain_beyond(
    file: Path, rows: npt.NDArray[np.float64], lines: list[int], frames: int, announced: int | None
) -> str:
    """Return a note where ``seqLength`` announces the absent frames; refuse the row where not.

    Cut-down copies of a sequence keep its whole annotation: then the announced length
    shows that the label is right and the frame was left out.
    """
    beyond = rows[:, FRAME] > frames
    unannounced = rows[:, FRAME] > max(frames, announced or 0)
    if unannounced.any():
        at = int(np.argmax(unannounced))
        raise DataError(
            f"label for frame {int(rows[at, FRAME])}, but only {frames} frames exist",
            where=f"{file}:{lines[at]}",
            hint="delete the row or restore the frame",
        )
    absent = len(np.unique(rows[beyond, FRAME]))
    return f"{int(beyond.sum())} rows for {absent} absent frames are dropped"
