"""The masks that an arm is trained on: a label source and a rule for its boxes, at one size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

from vidseg.errors import DataError
from vidseg.labels.base import VideoLabels
from vidseg.labels.effort import Effort, effort_of
from vidseg.tasks.base import Tally, Task
from vidseg.types import Image, Mask, Size, Video
from vidseg.utils.cache import array_cache
from vidseg.utils.hashing import digest
from vidseg.utils.progress import Quiet

if TYPE_CHECKING:
    from vidseg.store import Store, StoredMasks
    from vidseg.utils.progress import ProgressBar

MASK_BYTES = 64 * 2**20
"""Bytes of masks that one video keeps in memory."""


class MaskCache:
    """The masks of one video that were used last, read-only; empty after pickling."""

    def __init__(self) -> None:
        self._masks = array_cache(MASK_BYTES)
        self._lock = Lock()

    def get(self, index: int, make: Callable[[int], Mask]) -> Mask:
        """Return the mask of frame ``index``; made by ``make`` when it is not held."""
        with self._lock:
            mask: Mask | None = self._masks.get(index)
        if mask is None:
            mask = make(index)
            self.put(index, mask)
        return mask

    def put(self, index: int, mask: Mask) -> None:
        """Hold a mask in place of the least recently used."""
        mask.setflags(write=False)
        with self._lock:
            self._masks[index] = mask

    def __reduce__(self) -> tuple[type[MaskCache], tuple[()]]:
        return MaskCache, ()


class TrainingLabels:
    """The training masks of one video.

    Args:
        video: the video; grabCut looks at its own frames, not at resized ones.
        source: its training labels.
        refine: what a foreground box becomes.
        size: returns the size of the masks; a function that can be pickled.
        store: keeps what grabCut made.
    """

    def __init__(
        self,
        video: Video,
        source: VideoLabels,
        refine: str,
        size: Callable[[], Size],
        store: Store,
        task: Task,
    ) -> None:
        self._video, self._source, self._refine, self._size = video, source, refine, size
        self._store, self._task = store, task
        self._rule = task.refine_rule(refine)
        if callable(remember := getattr(source, "remember", None)):
            remember(store.fact_cache)
        self._masks = MaskCache()
        self._kept: StoredMasks | None = None
        self._tallies: dict[int, Tally] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it was made of, not the masks that it keeps in memory."""
        given = (self._video, self._source, self._refine, self._size, self._store, self._task)
        return TrainingLabels, given

    @property
    def key(self) -> str:
        """Hash of what the training masks are made of, their size apart."""
        own = [] if self.labelled is None else [digest(list(self.labelled))]
        if self._rule is None:
            return digest([self._source.key, self._refine, *own])
        return digest([self._source.key, *self._rule, self._video.image_key, *own])

    @cached_property
    def labelled(self) -> Sequence[int] | None:
        """Frames that have training labels, ascending; None: those that have ground truth."""
        own: Callable[[], Sequence[int] | None] | None = getattr(self._source, "labelled", None)
        return None if own is None else own()

    def mask(self, index: int) -> Mask:
        """Return the training mask of frame ``index``, ``int8 (h, w)``, read-only."""
        return self._masks.get(index, self._made)

    def effort(self, frames: Sequence[int]) -> Effort:
        """Return what a human does for the labels, of which ``frames`` are trained on."""
        return effort_of(self._video, self._source, frames)

    def tally(self, index: int) -> Tally:
        """Return how refining went in frame ``index``."""
        if self._rule is not None and index not in self._tallies:
            self._from_frame(index)
        return self._tallies.get(index, Tally(0, 0))

    def prepare(self, indices: Sequence[int], task: ProgressBar, stop: Callable[[], None]) -> None:
        """Make the masks of ``indices`` that need frames and are not kept yet, in one pass.

        Args:
            indices: frames, ascending.
            task: advanced by one a frame.
            stop: raises when the user asked to stop.
        """
        own = getattr(self._source, "prepare", None)
        if own is not None:
            own(indices, Quiet() if self._rule is not None else task, stop)
        if self._rule is None:
            if own is None:
                task.advance(len(indices))
            return
        missing = [i for i in indices if i not in self._tallies and not self._stored.has(i)]
        task.advance(len(indices) - len(missing))
        decoded = self._video.frames(missing) if missing else iter(())
        for index, image in zip(missing, decoded, strict=True):
            stop()
            self._masks.put(index, self._refined(index, image))
            task.advance()

    def work(self, indices: Sequence[int]) -> int:
        """Return how much :meth:`prepare` has to do: steps of a tracker, or frames."""
        steps: Callable[[], int] = getattr(self._source, "steps", lambda: 1)
        return max(len(indices), steps())

    @property
    def _stored(self) -> StoredMasks:
        if self._kept is None:
            self._kept = self._store.masks(self.key, self._size())
        return self._kept

    def _made(self, index: int) -> Mask:
        return self._refined(index, None) if self._rule is None else self._from_frame(index)

    def _from_frame(self, index: int) -> Mask:
        kept = self._stored.load(index)
        if kept is not None:
            self._tallies[index] = Tally(*kept[1])
            return kept[0]
        image = next(iter(self._video.frames([index])), None)
        if image is None:
            raise DataError("the video ends before it", where=self._where(index))
        return self._refined(index, image)

    def _refined(self, index: int, image: Image | None) -> Mask:
        """Make a mask; it is kept in the store where it needed the frame."""
        labels, where = self._source.labels(index), self._where(index)
        mask, tally = self._task.refine(labels, self._size(), self._refine, image, where=where)
        if image is not None:
            self._stored.save(index, mask, (tally.boxes, tally.failed))
            self._tallies[index] = tally
        return mask

    def _where(self, index: int) -> str:
        return f"video {self._video.name}, frame {index}"
