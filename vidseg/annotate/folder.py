"""An annotation folder that is being edited: every edit is on the disk before it is acknowledged.

An edit is one line that is appended to ``journal.jsonl`` and synced; when the journal has grown as
long as the snapshot, a new snapshot is written whole and the journal begins anew. A process that
is killed at any moment loses nothing that was acknowledged: the journal's lines are numbered, and
those that the snapshot has are passed over.
"""

from __future__ import annotations

import errno
import os
from io import FileIO
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from vidseg.datasets.annotation import Annotation
from vidseg.datasets.annotation_file import (
    JOURNAL,
    SNAPSHOT,
    is_annotation,
    read_annotation,
    read_journal,
)
from vidseg.datasets.annotation_records import Edit, JournalLine, VideoRecord
from vidseg.errors import DataError, StoreError
from vidseg.utils.files import write_atomic

LOCK = ".lock"
LEAST = 2**20
"""A journal of fewer bytes is not folded into the snapshot while the folder is edited."""
UNDOS = 200
"""Edits that can be taken back."""


class AnnotationFolder:
    """One annotation, open for edits by one process.

    Use it as a context manager, or :meth:`close` it: then the journal is folded into the snapshot.

    Args:
        folder: that holds an annotation.

    Attributes:
        annotation: its state; change it by :meth:`apply` only.

    Raises:
        DataError: there is none, or it is damaged.
        StoreError: another process edits it, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise DataError("no such folder", where=folder)
        self._lock = FileLock(folder / LOCK)
        self._take()
        try:
            self.annotation: Annotation = read_annotation(folder)
            self._length, self._snapshot_bytes = 0, 0
            self._journal = self._opened_journal()
        except BaseException:
            self._lock.release()
            raise
        self._undo: list[Edit] = []
        self._redo: list[Edit] = []

    @classmethod
    def create(cls, folder: Path, video: VideoRecord) -> AnnotationFolder:
        """Make a folder with an empty annotation of ``video``, and open it.

        Raises:
            DataError: it holds an annotation already.
            StoreError: it cannot be written.
        """
        if is_annotation(folder):
            raise DataError("holds an annotation already", where=folder, hint="open it")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / SNAPSHOT, _json(Annotation(video)))
        except OSError as error:
            raise _unwritable(folder, error) from error
        return cls(folder)

    def __enter__(self) -> AnnotationFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def apply(self, edit: Edit) -> Edit:
        """Make an edit and write it; return the edit that takes it back.

        Raises:
            UsageError: it does not fit the annotation; nothing is changed.
            StoreError: it cannot be written; nothing is changed.
        """
        undo = self._written(edit)
        self._undo = [*self._undo, undo][-UNDOS:]
        self._redo.clear()
        return undo

    def write(self, edit: Edit) -> None:
        """Make an edit and write it, as :meth:`apply`, but not as one that :meth:`undo` knows."""
        self._written(edit)

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is an edit to make again."""
        return bool(self._redo)

    @property
    def next_undo(self) -> Edit | None:
        """The edit that :meth:`undo` makes."""
        return self._undo[-1] if self._undo else None

    @property
    def next_redo(self) -> Edit | None:
        """The edit that :meth:`redo` makes."""
        return self._redo[-1] if self._redo else None

    def undo(self) -> Edit | None:
        """Take the last edit back; return what was done, None where there is nothing to undo."""
        return self._step(self._undo, self._redo)

    def redo(self) -> Edit | None:
        """Make an edit again that was taken back; return it, None where there is none."""
        return self._step(self._redo, self._undo)

    def save(self) -> None:
        """Fold the journal into the snapshot.

        Raises:
            StoreError: the snapshot cannot be written; the journal stays.
        """
        try:
            write_atomic(self.folder / SNAPSHOT, payload := _json(self.annotation))
            self._journal.truncate(0)
            self._length, self._snapshot_bytes = 0, len(payload)
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def close(self) -> None:
        """Fold the journal into the snapshot, and let others edit the folder."""
        if self._journal.closed:
            return
        try:
            if self._length:
                self.save()
        finally:
            self._journal.close()
            self._lock.release()

    def _step(self, taken: list[Edit], other: list[Edit]) -> Edit | None:
        if not taken:
            return None
        edit = taken[-1]
        other.append(self._written(edit))
        taken.pop()
        return edit

    def _written(self, edit: Edit) -> Edit:
        undo = self.annotation.apply(edit)
        try:
            self._append(JournalLine(revision=self.annotation.revision + 1, edit=edit))
        except OSError as error:
            self.annotation.apply(undo)
            raise _unwritable(self.folder, error) from error
        self.annotation.revision += 1
        if self._length > max(LEAST, self._snapshot_bytes):
            self.save()
        return undo

    def _append(self, line: JournalLine) -> None:
        row = line.model_dump_json(exclude_defaults=False).encode() + b"\n"
        try:
            self._journal.seek(self._length)
            if self._journal.write(row) != len(row):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._journal.fileno())
        except OSError:
            self._journal.truncate(self._length)
            raise
        self._length += len(row)

    def _opened_journal(self) -> FileIO:
        """Open the journal, and cut off what stands behind its last whole line."""
        file = self.folder / JOURNAL
        try:
            self._length = read_journal(file)[1]
            self._snapshot_bytes = (self.folder / SNAPSHOT).stat().st_size
            file.touch()
            journal = FileIO(file, "r+")
            journal.truncate(self._length)
            return journal
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def _take(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise StoreError(
                "is being edited by another process",
                where=self.folder,
                hint="close its page, or wait until it is finished",
            ) from error
        except OSError as error:
            raise _unwritable(self.folder, error) from error


def _json(annotation: Annotation) -> bytes:
    return annotation.snapshot.model_dump_json().encode() + b"\n"


def _unwritable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot be written ({error.strerror or error})",
        where=folder,
        hint="free space or change the folder's permissions; what was acknowledged is kept",
    )
