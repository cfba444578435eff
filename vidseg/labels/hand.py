"""Every box by hand, on the first frames of a video, for the price of key frames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.labels.boxes import boxed
from vidseg.labels.effort import Price, by_hand, key_frame_seconds
from vidseg.labels.propagated import Seconds
from vidseg.types import Labels, Video, labelled_frames
from vidseg.utils.hashing import digest

_RULE = "hand 1"


class Hand:
    """Train on the true boxes of a video's first frames, as many as a budget affords.

    Args:
        budget: no more seconds are spent than on drawing every box of every ``budget``-th frame;
            one frame is taken in any case.
        seconds_per_box, seconds_per_look: what a box drawn and a frame looked at take; 7 and 1
            where they are not given.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        budget: Annotated[int, Field(ge=1)] = 20,
        seconds_per_box: Seconds | None = None,
        seconds_per_look: Seconds | None = None,
    ) -> None:
        self._budget, self._price = budget, Price.of(seconds_per_box, seconds_per_look)

    def of(self, video: Video) -> HandLabels:
        """Return the labels of a video."""
        return HandLabels(video, self._budget, self._price)


class HandLabels:
    """The boxes of one video; a :class:`vidseg.labels.base.VideoLabels`."""

    def __init__(self, video: Video, budget: int, price: Price) -> None:
        self._video, self._budget, self._price = video, budget, price

    @cached_property
    def key(self) -> str:
        """Hash of the labels; which frames have them is in a cell's key as well."""
        return digest([_RULE, self._video.label_key])

    @cached_property
    def _frames(self) -> list[int]:
        left = key_frame_seconds(self._video, self._budget, self._price)
        found: list[int] = []
        for frame in labelled_frames(self._video):
            left -= self._price.seconds(by_hand(self._video, [frame]))
            if found and left < 0:
                break
            found.append(frame)
        return found

    def labelled(self) -> Sequence[int]:
        """Return the first frames, as many as the budget affords."""
        return self._frames

    def labels(self, index: int) -> Labels:
        """Return the boxes of a frame."""
        return boxed(self._video.labels(index))
