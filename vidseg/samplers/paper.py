"""The paper's frame settings by name (section III.C): ``1``, ``20``, ``1by20``, ``400``."""

from __future__ import annotations

from vidseg.samplers.base import Short
from vidseg.samplers.strided import Strided
from vidseg.samplers.successive import Successive


class One(Successive):
    """The paper's setting 1: the first frame of each video."""

    def __init__(self) -> None:
        super().__init__(n=1)


class Twenty(Successive):
    """The paper's setting 20: the first 20 successive frames of each video.

    Args:
        short: what to do with a shorter video: ``error``, or take ``all`` frames that exist.
    """

    def __init__(self, short: Short = "error") -> None:
        super().__init__(n=20, short=short)


class OneByTwenty(Strided):
    """The paper's setting 1by20: frames 0, 20, 40, ..., 380 of each video.

    Args:
        short: what to do with a shorter video: ``error``, or take ``all`` frames that exist.
    """

    def __init__(self, short: Short = "error") -> None:
        super().__init__(every=20, n=20, short=short)


class FourHundred(Successive):
    """The paper's setting 400: the first 400 successive frames of each video.

    Args:
        short: what to do with a shorter video: ``error``, or take ``all`` frames that exist.
    """

    def __init__(self, short: Short = "error") -> None:
        super().__init__(n=400, short=short)
