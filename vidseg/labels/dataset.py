"""A further label set that the data set itself offers, by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from vidseg.errors import UsageError
from vidseg.labels.base import KeyedLabels
from vidseg.types import Labels, Video


class Offered:
    """Train on a label set that the data set brings beside the truth.

    A video offers some by an attribute ``label_sources``, a mapping of their names to a hash of
    their content; ``video.labels(index, name)`` gives them.

    Args:
        name: of the label set.
    """

    contract: ClassVar[int] = 1

    def __init__(self, name: str) -> None:
        self.name = name

    def of(self, video: Video) -> KeyedLabels:
        """Return the labels of that name.

        Raises:
            UsageError: the video offers none of that name; lists those that it has.
        """
        offered: Mapping[str, str] = getattr(video, "label_sources", {})
        if self.name not in offered:
            known = ", ".join(offered)
            raise UsageError(
                f"offers no labels {self.name!r}",
                where=f"train_labels, video {video.name}",
                hint=f"it offers {known}" if known else "it has nothing but its truth",
            )

        return KeyedLabels(offered[self.name], partial(_offered, video, self.name))


def _offered(video: Video, name: str, index: int) -> Labels:
    return video.labels(index, name)
