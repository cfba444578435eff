"""Reads a data set, writes it in another format: the whole folder appears at once, or nothing."""

from __future__ import annotations

import contextlib
import csv
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vidseg.datasets.base import Dataset, labelled_frames
from vidseg.datasets.groups_file import HEAD
from vidseg.datasets.writers.base import Losses, Writer, WrittenVideo
from vidseg.datasets.writers.coco import CocoWriter
from vidseg.datasets.writers.cvat import CvatWriter
from vidseg.datasets.writers.masks import MasksWriter
from vidseg.datasets.writers.mot import MotWriter
from vidseg.datasets.writers.names import safe_name
from vidseg.datasets.writers.pictures import WAYS, PictureWriter
from vidseg.datasets.writers.virat import ViratWriter
from vidseg.datasets.writers.yolo import YoloWriter
from vidseg.errors import DataError, Stopped, UsageError
from vidseg.types import Video
from vidseg.utils.files import disk_is_full
from vidseg.utils.progress import Progress, ProgressBar
from vidseg.utils.stop import check_stop
from vidseg.utils.suggest import did_you_mean

WRITERS: Final[Mapping[str, type[Writer]]] = {
    "mot": MotWriter,
    "virat": ViratWriter,
    "masks": MasksWriter,
    "cvat": CvatWriter,
    "coco": CocoWriter,
    "yolo": YoloWriter,
}


GROUPS: Final = "groups.csv"


@dataclass(frozen=True)
class Conversion:
    """What was written.

    Attributes:
        output: the folder.
        spec: of the data set that reads it.
        videos, frames, labelled: how many; labelled frames are among the frames.
        pictures: how many were linked, copied or written, by how.
        losses: what the format cannot hold, a line each, with counts.
        renamed: new name of each video that has another one now.
        groups: CSV file of the videos' groups, where these are not their names.
    """

    output: Path
    spec: str
    videos: int
    frames: int
    labelled: int
    pictures: dict[str, int]
    losses: tuple[str, ...]
    renamed: dict[str, str]
    groups: Path | None

    def __repr__(self) -> str:
        return f"Conversion({self.spec!r}, videos: {self.videos}, frames: {self.frames})"


def check_request(form: str, output: Path, images: str, label: str) -> None:
    """Refuse, before any work, what cannot be written.

    Raises:
        UsageError: an unknown format, way of pictures or label, or a folder that is not empty.
    """
    for value, known, where in ((form, WRITERS, "--to"), (images, WAYS, "--images")):
        if value not in known:
            hint = f"{did_you_mean(value, known)}choose {', '.join(known)}"
            raise UsageError(f"there is no {value!r}", where=where, hint=hint)
    if not label.strip() or not label.isprintable():
        raise UsageError(f"{label!r} is no name of a class", where="--label")
    if output.is_dir() and any(output.iterdir()):
        raise UsageError("is not empty", where=f"--output {output}", hint="name a new folder")
    if output.exists() and not output.is_dir():
        raise UsageError("is a file", where=f"--output {output}", hint="name a new folder")
    if not output.absolute().parent.is_dir():
        raise UsageError("its folder is not there", where=f"--output {output}", hint="make it")


def convert(
    dataset: Dataset,
    form: str,
    output: Path,
    *,
    images: str = "link",
    label: str = "foreground",
    progress: Progress,
) -> Conversion:
    """Write a data set in another format.

    Args:
        dataset: what is read.
        form: one of :data:`WRITERS`.
        output: the folder, which is new or empty.
        images: see :data:`vidseg.datasets.writers.pictures.WAYS`.
        label: name of the class of what is foreground, in formats with names.
        progress: where to tell how far it is.

    Raises:
        UsageError: a request that cannot be done; the output is inside of the data.
        DataError: the data cannot be read, or nothing of its labels would be left.
    """
    check_request(form, output, images, label)
    _check_outside(output, dataset)
    losses = Losses()
    videos = _with_labels(list(dataset.videos()), losses)
    with _new_folder(output) as root:
        writer = WRITERS[form](root, losses, label)
        names = _folder_names(writer, videos)
        pictures = PictureWriter(root, images)
        written = [_write(video, names[video.name], writer, pictures, progress) for video in videos]
        writer.finish()
        if not writer.left:
            raise DataError(
                f"{form} can hold none of the labels: {'; '.join(losses.lines()) or 'none'}",
                where="--to",
                hint="choose another format",
            )
        read = {video.name: writer.read_name(names[video.name]) for video in videos}
        groups = _write_groups(root, videos, read)
    return Conversion(
        output,
        f"{writer.dataset}:{output}{writer.options}",
        len(videos),
        sum(one.info.length for one in written),
        sum(len(one.labelled) for one in written),
        pictures.counts,
        tuple(losses.lines()),
        {name: new for name, new in read.items() if name != new},
        output / GROUPS if groups else None,
    )


def _with_labels(videos: Sequence[Video], losses: Losses) -> list[Video]:
    found = [video for video in videos if len(labelled_frames(video))]
    losses.add("video", "no frame is labelled, left out", len(videos) - len(found))
    if not found:
        raise DataError("no frame of any video is labelled")
    return found


def _write_groups(root: Path, videos: Sequence[Video], names: Mapping[str, str]) -> bool:
    """Write the groups where they are not the names of the videos; return whether."""
    if all(video.group == video.name for video in videos):
        return False
    with (root / GROUPS).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEAD)
        rows.writerows((names[video.name], video.group) for video in videos)
    return True


def _write(
    video: Video, name: str, writer: Writer, pictures: PictureWriter, progress: Progress
) -> WrittenVideo:
    info, labelled = video.probe(), [int(index) for index in labelled_frames(video)]
    with progress.task(f"writing {video.name}", info.length + len(labelled)) as bar:
        stems = [writer.picture(name, index) for index in range(info.length)]
        found = pictures.write(video, stems, lambda: _step(bar))
        written = WrittenVideo(name, info, labelled, found)
        writer.start(written)
        for index in labelled:
            writer.frame(index, video.labels(index))
            _step(bar)
        writer.end()
    return written


def _step(bar: ProgressBar) -> None:
    check_stop()
    bar.advance()


def _folder_names(writer: Writer, videos: Sequence[Video]) -> dict[str, str]:
    """Return the folder of each video.

    Raises:
        DataError: two videos would share one, or a name cannot be one.
    """
    names = {video.name: safe_name(writer.folder_name(video.name)) for video in videos}
    folders = [name.casefold() for name in names.values()]
    twice = next((name for name in names if folders.count(names[name].casefold()) > 1), None)
    if twice is not None:
        raise DataError(f"two videos would be in one folder {names[twice]!r}", hint="rename one")
    return names


def _check_outside(output: Path, dataset: Dataset) -> None:
    members: Sequence[Dataset] = getattr(dataset, "members", [dataset])
    for member in members:
        root = getattr(member, "root", None)
        if isinstance(root, Path):
            folder = root if root.is_dir() else root.parent
            if output.resolve().is_relative_to(folder.resolve()):
                raise UsageError(
                    "is inside of the data that is read",
                    where=f"--output {output}",
                    hint="name a folder beside it",
                )


@contextlib.contextmanager
def _new_folder(output: Path) -> Iterator[Path]:
    """Yield a folder beside ``output`` that gets its name at the end, or is removed.

    Raises:
        UsageError: it cannot be made or renamed.
    """
    output = output.absolute()
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.mkdir()
    except OSError as error:
        raise UsageError(
            f"cannot be made ({error.strerror})", where=f"--output {output}"
        ) from error
    try:
        yield temporary
        if output.is_dir():
            output.rmdir()
        temporary.rename(output)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, KeyboardInterrupt | Stopped):
            code = error.exit_code if isinstance(error, Stopped) else 130
            raise Stopped(
                "stopped", "nothing was written, the same command begins anew", code
            ) from error
        if isinstance(error, OSError) and not disk_is_full(error):
            what = f"{error.filename or output} cannot be written ({error.strerror or error})"
            raise UsageError(what, where=f"--output {output}") from error
        raise
