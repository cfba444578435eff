"""An annotation folder as it is read: ``annotation.json``, and the edits since.

``annotation.json`` is a snapshot, written whole; ``journal.jsonl`` has one line for each edit since
(``vidseg.annotate.folder`` writes both). A last line that is torn was never acknowledged, and is
left out.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from vidseg.datasets.annotation import Annotation
from vidseg.datasets.annotation_records import FORMAT, VERSION, JournalLine, Snapshot
from vidseg.errors import DataError, UsageError
from vidseg.utils.text import reason

SNAPSHOT, JOURNAL = "annotation.json", "journal.jsonl"


def read_annotation(folder: Path) -> Annotation:
    """Return what a folder holds.

    Raises:
        DataError: no annotation, a damaged file (names the line), or one of a newer vidseg.
    """
    annotation = _read_snapshot(folder / SNAPSHOT)
    for line in read_journal(folder / JOURNAL)[0]:
        if line.revision <= annotation.revision:
            continue
        try:
            annotation.apply(line.edit)
        except UsageError as error:
            where = f"{folder / JOURNAL}, edit {line.revision}"
            raise DataError(error.what, where=where, hint="restore the folder") from error
        annotation.revision = line.revision
    return annotation


def read_journal(file: Path) -> tuple[list[JournalLine], int]:
    """Return the whole lines of a journal, and how many bytes they are.

    Raises:
        DataError: a line before the last one is damaged.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=file) from error
    rows = content.split(b"\n")
    whole, found, length = rows[:-1], [], 0
    for number, row in enumerate(whole, 1):
        try:
            found.append(JournalLine.model_validate_json(row))
        except ValidationError as error:
            if number == len(whole) and not _is_json(row):
                break  # torn by a power failure: the line's end was written, not its middle
            raise DataError(
                f"is damaged ({_reason(error)})", where=f"{file}:{number}", hint="restore the file"
            ) from error
        length += len(row) + 1
    return found, length


def is_annotation(folder: Path) -> bool:
    """Return whether a folder holds an annotation."""
    return (folder / SNAPSHOT).is_file()


def _read_snapshot(file: Path) -> Annotation:
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        hint = "`vidseg annotate` and `vidseg propagate` make it"
        raise DataError("no annotation", where=file, hint=hint) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=file) from error
    try:
        return Annotation.of(Snapshot.model_validate_json(content))
    except ValidationError as error:
        _refuse_version(file, content)
        raise DataError(
            f"is malformed ({_reason(error)})", where=file, hint="restore the file"
        ) from error
    except UsageError as error:
        raise DataError(error.what, where=file, hint="restore the file") from error


def _refuse_version(file: Path, content: bytes) -> None:
    try:
        held = json.loads(content)
    except ValueError:
        return
    version = held.get("version") if isinstance(held, dict) else None
    if isinstance(version, int) and version > VERSION and held.get("format") == FORMAT:
        raise DataError(
            f"is of version {version}, this vidseg reads {VERSION}",
            where=file,
            hint="use the newer vidseg that wrote it",
        )


def _reason(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    why = reason(first["msg"])
    return f"{place}: {why}" if place else why


def _is_json(row: bytes) -> bool:
    try:
        json.loads(row)
    except ValueError:
        return False
    return True
