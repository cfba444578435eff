"""The errors that a user can cause or mend: what is wrong, where, and what to do.

Every error of vidseg derives from :class:`VidsegError`. The command line prints one line for it,
without a traceback, and exits with its ``exit_code``. Anything else that escapes is a bug of ours,
but :class:`Stopped`, which is no error.
"""

from __future__ import annotations

from collections.abc import Sequence


class VidsegError(Exception):
    """What is wrong, where, and what to do about it, on one line, control characters escaped.

    Args:
        what: the fact, without a full stop: ``"row has 5 columns, 9 or 10 are needed"``.
        where: file, row, frame, video or option: ``"gt/gt.txt:12"``.
        hint: what to do: ``"delete the row"``.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: object = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, str(where), hint
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        line = " ".join((f"{text}; {self.hint}" if self.hint else text).split())
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.hint)


def _rebuild(kind: type[VidsegError], what: str, where: str, hint: str) -> VidsegError:
    return kind(what, where=where, hint=hint)


class UsageError(VidsegError):
    """An option, a spec or a configuration that cannot be meant."""

    exit_code = 2


class PluginError(UsageError):
    """A plugin that is unknown, ambiguous, broken, or called with wrong parameters."""


class DataError(VidsegError):
    """Videos, labels or weights that are missing, malformed or contradict each other."""


class BadRowsError(DataError):
    """Several faults of the labels of one video; reads as the first, with the number of the others.

    Args:
        faults: two or more, in the order of the files.
    """

    def __init__(self, faults: Sequence[DataError]) -> None:
        self.faults = tuple(faults)
        first = self.faults[0]
        alone = len({fault.where.rpartition(":")[0] for fault in self.faults}) == 1
        count = len(self.faults) - 1
        others = f"{count} more fault{'s' * (count > 1)}{' in this file' * alone}"
        super().__init__(f"{first.what}, and {others}", where=first.where, hint=first.hint)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.faults,)


class UnlabelledError(DataError):
    """Frames that a sampler needs, and that the video has without labels."""


class StoreError(VidsegError):
    """The feature store or the ledger cannot be read or written."""


class ResourceError(VidsegError):
    """The work does not fit the memory budget, the disk or the time that was given."""


class TrackingError(VidsegError):
    """The MLflow tracking server does not answer or refuses."""


class UnreachableError(TrackingError):
    """The MLflow tracking server does not answer."""


class Stopped(BaseException):
    """The user or the system asked to stop; finished stages are kept.

    Not an ``Exception``: what sets faults of data or plugins aside must not set this aside.

    Args:
        what: who asked: ``"stopped by SIGTERM"``.
        hint: what to do: ``"the same command goes on"``.
        exit_code: of the command line.
    """

    def __init__(self, what: str, hint: str = "", exit_code: int = 130) -> None:
        self.what, self.hint, self.exit_code = what, hint, exit_code
        super().__init__(what, hint, exit_code)

    def __str__(self) -> str:
        return f"{self.what}; {self.hint}" if self.hint else self.what
