"""FCN-8s: the deepest level's scores, refined by those of the skips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from vidseg.classifiers.networks.base import NetworkClassifier
from vidseg.classifiers.networks.decoders import FcnDecoder
from vidseg.classifiers.networks.model import Decoder, LinearHead
from vidseg.classifiers.networks.trunk import Source


class Fcn(NetworkClassifier):
    """Fully convolutional network: the deepest scores, enlarged, with skips down to stride 8."""

    name: ClassVar[str] = "fcn"

    def head(
        self, source: Source, levels: Sequence[int] | None, linear: Sequence[int]
    ) -> tuple[LinearHead | None, Decoder | None]:
        """Return a decoder, and a linear head where a linear model is the start."""
        channels, strides = source.handle.channels, source.handle.strides
        head = LinearHead(channels, linear) if linear else None
        return head, FcnDecoder(channels, strides, levels or range(len(channels)))
