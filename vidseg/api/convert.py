"""Data sets written in other formats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidseg.api.progress import showing
from vidseg.utils.paths import user_path
from vidseg.utils.progress import Progress

if TYPE_CHECKING:
    from vidseg.datasets.writers.convert import Conversion


def convert(
    dataset: str | dict[str, Any] | Sequence[str | dict[str, Any]],
    *,
    to: str,
    output: str | Path,
    images: str = "link",
    label: str = "foreground",
    progress: bool | Progress = False,
) -> Conversion:
    """Write a data set in another format; what that cannot hold is in ``losses`` of the result.

    The folder appears when it is whole; after an error or a stop there is none.

    Args:
        dataset: as of :func:`vidseg.open_dataset`.
        to: ``mot``, ``virat``, ``masks``, ``cvat``, ``coco`` or ``yolo``.
        output: a folder that is new or empty.
        images: ``link`` (hard links) or ``copy`` the pictures, or write them all as ``png`` (exact)
            or ``jpg`` (not exact). Frames of clips are written as PNG by ``link`` and ``copy``.
        label: name of the class of what is foreground, in formats that have names.
        progress: as of :func:`vidseg.run`.

    Raises:
        VidsegError: what was refused, where, and what to do about it.
    """
    from vidseg import plugins
    from vidseg.datasets.writers.convert import check_request
    from vidseg.datasets.writers.convert import convert as done
    from vidseg.experiment.open import create_dataset, open_questions, refuse_unanswered

    folder = user_path(output)
    check_request(to, folder, images, label)
    opened = create_dataset(plugins.resolve_several("dataset", dataset, where="dataset"))
    if questions := open_questions(opened.videos()):
        refuse_unanswered(questions)
    with showing(progress) as shown:
        for note in getattr(opened, "notes", list)():
            shown.say(note)
        return done(opened, to, folder, images=images, label=label, progress=shown)
