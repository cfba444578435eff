"""Trackers made from specs, with their boxes checked on the way in and on the way out."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vidseg import plugins
from vidseg.errors import DataError, PluginError, VidsegError
from vidseg.plugins.spec import Spec
from vidseg.trackers.boxes import is_box, trackable
from vidseg.types import Box, Image, Size, Tracker
from vidseg.utils.hashing import digest
from vidseg.utils.sources import closure, locate

DEFAULT = "lk"
"""The tracker that the method ``auto`` is best with."""

LOST = 0.0
"""The confidence of a tracker that has lost its object."""


@dataclass(frozen=True)
class TrackerSource:
    """Makes trackers of one spec, one for each object.

    Attributes:
        spec: with every default written out: equal specs track alike.
    """

    spec: Spec

    @classmethod
    def of(cls, spec: str | dict[str, Any] | Spec, *, where: str = "tracker") -> TrackerSource:
        """Return the source of a spec; makes one tracker, so that what it refuses is known.

        Raises:
            PluginError: there is no such tracker, or it refuses its parameters.
            VidsegError: what it needs is not installed, or a model file is missing.
        """
        found = cls(plugins.resolve("tracker", spec, where=where))
        plugins.create("tracker", found.spec, where=where)
        return found

    @property
    def key(self) -> str:
        """Hash of the spec, of the tracker's code, and of the libraries that it names."""
        plugin = plugins.find("tracker", self.spec.name)
        module, package = locate(plugin.target.partition(":")[0])
        libraries = getattr(plugins.load(plugin), "libraries", ())
        versions = [str(importlib.import_module(name).__version__) for name in libraries]
        return digest([str(self.spec), closure(module, {package}), plugin.version, *versions])

    def __call__(self) -> CheckedTracker:
        """Return a tracker for one object."""
        return CheckedTracker(plugins.create("tracker", self.spec), str(self.spec))


def sure_of(tracker: Tracker) -> float:
    """Return the confidence of a tracker whose object looks as before: its ``sure``, else 1."""
    return float(getattr(tracker, "sure", 1.0))


class CheckedTracker:
    """A tracker that is never given a box it cannot follow, and never gives one that is none.

    dlib's takes an empty box, NaN or one outside of the frame without an error, and answers with
    confidence NaN; others end the process. A box that it gives back and that is none (NaN, no
    width, far from the frame) means that the object is lost: the last good box stays, with
    confidence 0, until the object is started anew.

    Args:
        tracker: of a plugin.
        name: names it in errors.
    """

    def __init__(self, tracker: Tracker, name: str) -> None:
        self._tracker, self._name = tracker, name
        self._box: Box | None = None
        self._size: Size | None = None
        self._lost = False

    @property
    def sure(self) -> float:
        """The confidence of an object that looks as before."""
        return sure_of(self._tracker)

    def start(self, image: Image, box: Box) -> None:
        """Take the object in ``box`` of ``image``.

        Raises:
            DataError: no width or height, not finite, or no two pixels of it inside the frame.
        """
        size = Size(*image.shape[:2])
        found = tuple(float(side) for side in box)
        if len(found) != 4 or not is_box(found):
            raise DataError(
                f"{_text(found)} is no box", where=self._name, hint="a box has width and height"
            )
        if not trackable(found, size):
            raise DataError(f"{_text(found)} is outside of a frame of {size}", where=self._name)
        self._box, self._size, self._lost = found, size, False
        self._guarded(self._tracker.start, image, found)

    def update(self, image: Image) -> tuple[Box, float]:
        """Return where the object is in the next frame, and how sure that is.

        Raises:
            DataError: not started, or a frame of another size.
            PluginError: the tracker fails; names its plugin.
        """
        if self._box is None:
            raise DataError("is asked for an object before it was given one", where=self._name)
        if Size(*image.shape[:2]) != self._size:
            raise DataError(
                f"a frame of {Size(*image.shape[:2])} after one of {self._size}", where=self._name
            )
        if self._lost:
            return self._box, LOST
        box, confidence = self._answer(image)
        if not trackable(box, self._size):
            self._lost = True
            return self._box, LOST
        self._box = box
        return box, confidence if confidence == confidence else LOST

    def _answer(self, image: Image) -> tuple[Box, float]:
        answer = self._guarded(self._tracker.update, image)
        try:
            (left, top, width, height), confidence = answer
            box = float(left), float(top), float(width), float(height)
            return box, float(confidence)
        except (TypeError, ValueError) as error:
            raise PluginError(
                f"update gave {answer!r}, not a box of four numbers and a confidence",
                where=f"tracker {self._name}",
            ) from error

    def _guarded(self, call: Callable[..., Any], *args: Any) -> Any:
        try:
            return call(*args)
        except (VidsegError, MemoryError):
            raise
        except Exception as error:
            raise PluginError(
                f"fails: {type(error).__name__}: {error}", where=f"tracker {self._name}"
            ) from error


def _text(box: tuple[float, ...]) -> str:
    return "box " + ",".join(f"{side:g}" for side in box)
