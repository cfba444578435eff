"""The tasks that there are: the one place where the engine meets one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vidseg.errors import DataError

if TYPE_CHECKING:
    from vidseg.tasks.base import Task

DEFAULT = "segmentation"


def find_task(name: str = DEFAULT) -> Task:
    """Return the task of a name.

    Raises:
        DataError: there is none, as in a record of a later version.
    """
    if name not in TASKS:
        raise DataError(f"there is no task {name!r}", hint=f"it is one of {', '.join(TASKS)}")
    return TASKS[name]()


def _segmentation() -> Task:
    from vidseg.tasks.segmentation.task import Segmentation

    return Segmentation()


TASKS: dict[str, Callable[[], Task]] = {DEFAULT: _segmentation}
"""What makes a task, by its name."""
