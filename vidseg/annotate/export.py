"""An annotation that is being edited, written as a data set of another format."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from vidseg.annotate.opened import OpenVideo
from vidseg.datasets.annotated import Annotated
from vidseg.datasets.annotation_file import SNAPSHOT
from vidseg.datasets.annotation_records import Snapshot
from vidseg.datasets.writers.convert import WRITERS, Conversion
from vidseg.datasets.writers.convert import convert as written
from vidseg.errors import StoreError, UsageError
from vidseg.utils.scratch import scratch

FORMATS = tuple(WRITERS)
EXPORTS = "exports"
"""Folder below the annotation folders' one."""


def export(
    opened: OpenVideo,
    output: Path,
    form: str,
    *,
    frames: Literal["finished", "all"] = "finished",
    images: str = "link",
) -> Conversion:
    """Write the annotation as it is now; edits go on meanwhile.

    Args:
        opened: the video.
        output: gets ``exports/NAME-FORMAT``, or ``-2`` and so on where that is there.
        form: one of :data:`FORMATS`.
        frames: those that are finished, or all.
        images: as of ``vidseg convert``.

    Raises:
        VidsegError: what cannot be written; nothing is left behind.
    """
    if form not in FORMATS:
        raise UsageError(f"there is no format {form!r}", hint=f"choose {', '.join(FORMATS)}")
    snapshot = opened.snapshot()
    if frames == "finished" and not snapshot.finished:
        raise UsageError("no frame is marked as finished", hint="export all frames, or mark some")
    try:
        folder = _free(output / EXPORTS, f"{opened.place.name}-{form}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with scratch() as temporary:
            place = temporary / opened.place.name
            place.mkdir()
            _write(snapshot, opened, place)
            dataset = Annotated(str(place), labelled=frames)
            return written(dataset, form, folder, images=images, progress=opened.exporting)
    except OSError as error:
        raise StoreError(f"cannot be written ({error.strerror or error})", where=output) from error


def _write(snapshot: Snapshot, opened: OpenVideo, place: Path) -> None:
    """Write the annotation into a folder of its own, from which the video is found as well."""
    where = {"path": str(opened.video.path.absolute()), "dataset": None}
    kept = snapshot.model_copy(update={"video": snapshot.video.model_copy(update=where)})
    (place / SNAPSHOT).write_text(kept.model_dump_json(), encoding="utf-8")


def _free(folder: Path, name: str) -> Path:
    found, number = folder / name, 2
    while found.exists():
        found, number = folder / f"{name}-{number}", number + 1
    return found
