"""The paper's linear classifier trained end to end: a 1x1 convolution per level, scores summed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from vidseg.classifiers.networks.base import NetworkClassifier
from vidseg.classifiers.networks.model import Decoder, LinearHead
from vidseg.classifiers.networks.trunk import Source


class Vgg(NetworkClassifier):
    """Network whose head is the linear classifier: one 1x1 convolution per level, scores summed.

    The paper's "VGG (the same as the svm experiment)", over any extractor.
    """

    name: ClassVar[str] = "vgg"

    def head(
        self, source: Source, levels: Sequence[int] | None, linear: Sequence[int]
    ) -> tuple[LinearHead | None, Decoder | None]:
        """Return a linear head on the chosen levels, by default all of the extractor's."""
        return LinearHead(source.handle.channels, linear or levels or source.linear), None
