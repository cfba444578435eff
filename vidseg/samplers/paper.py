"""The paper's frame settings by name (III.C): ``1``, ``20``, ``1by20``, ``400``, ``1x20``..."""

from __future__ import annotations

from vidseg.samplers.base import Short
from vidseg.samplers.noise import Per
from vidseg.samplers.noised import Noised
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


class OneTimesTwenty(Noised):
    """The paper's setting 1x20: 20 noisy copies of the first frame of each video.

    Args:
        per: one variance for the ``image``, for each colour ``channel``, or each ``pixel``.
        round: convert to 8 bit as the paper does; otherwise values are not even clipped.
        fresh: every epoch draws new noise; otherwise the copies are the same in all epochs.
    """

    def __init__(
        self,
        per: Per = "image",
        round: bool = True,  # noqa: A002
        fresh: bool = True,
    ) -> None:
        super().__init__(One(), copies=20, window=20, per=per, round=round, fresh=fresh)


class TwentyTimesTwenty(Noised):
    """The paper's setting 20x20: 20 noisy copies of each of the frames 0, 20, 40, ..., 380.

    Args:
        short: what to do with a shorter video: ``error``, or take ``all`` frames that exist.
        per: one variance for the ``image``, for each colour ``channel``, or each ``pixel``.
        round: convert to 8 bit as the paper does; otherwise values are not even clipped.
        fresh: every epoch draws new noise; otherwise the copies are the same in all epochs.
    """

    def __init__(
        self,
        short: Short = "error",
        per: Per = "image",
        round: bool = True,  # noqa: A002
        fresh: bool = True,
    ) -> None:
        base = OneByTwenty(short)
        super().__init__(base, copies=20, window=20, per=per, round=round, fresh=fresh)
