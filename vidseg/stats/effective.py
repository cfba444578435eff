"""How many independent frames a test video is worth: about evaluation only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidseg.errors import DataError
from vidseg.stats.signflip import TIE, Array


def effective_frames(scores: npt.ArrayLike) -> float:
    """Return ``m / (1 + 2 sum_k (1 - k/m) rho_k)`` of one test video.

    The mean of a video's per-frame scores has the variance of that many independent frames
    (Bartlett 1946). ``rho_k`` is the autocorrelation at lag ``k``; since the video's own mean
    stands in for the true one, every autocovariance lacks the variance of that mean, which is
    added back. The sum stops before the first pair ``rho_2j + rho_2j+1`` that is not positive
    (initial positive sequence, Geyer 1992): beyond it there is noise only. It says how exactly the
    video's score is measured, nothing about the training value of frames, nor about other videos:
    groups stay the unit. Where scores hang together over a good part of the video, it is a rough
    number, and too large (docs/statistics.md).

    Args:
        scores: ``(m,)`` per-frame score (IoU, ...) in the order of the frames, at equal spacing;
            nan where undefined: such frames are not counted, their places are.

    Returns:
        1 .. the number of defined frames. 1 where all scores are equal: a still picture.

    Raises:
        DataError: no defined score, or more than one dimension.

    Example:
        >>> effective_frames([0.5, 0.5, 0.5])
        1.0
        >>> round(effective_frames([0.4, 0.6, 0.5, 0.3, 0.6, 0.4, 0.5, 0.4]), 3)
        6.4
    """
    values = np.asarray(scores, np.float64)
    defined = np.isfinite(values)
    count = int(np.count_nonzero(defined))
    if values.ndim != 1 or not count:
        raise DataError("effective test frames need one video's score per frame, one at least")
    centred = np.where(defined, values - values[defined].mean(), 0.0)
    variance = float(centred @ centred) / count
    if variance <= (TIE * np.abs(values[defined]).max()) ** 2:
        return 1.0
    covariance = _autocovariance(centred, defined)
    lags = np.arange(_cutoff(covariance))
    weights = np.where(lags, 2.0, 1.0) * (1 - lags / len(values))
    # Deviations from the sample mean lack the variance of that mean, at every lag alike.
    lack = float(weights @ covariance[lags]) / max(len(values) - float(weights.sum()), 1.0)
    corrected = covariance[lags] + max(lack, 0.0)
    inflation = float(weights @ corrected) / corrected[0]
    return float(np.clip(count / max(inflation, 1 / count), 1.0, count))


def _autocovariance(centred: Array, defined: npt.NDArray[np.bool_]) -> Array:
    """Return the autocovariance at lags 0..m-1: the mean over the pairs of defined frames."""
    from scipy.signal import correlate

    present = defined.astype(np.float64)
    last = len(centred) - 1
    products = correlate(centred, centred)[last:]
    pairs = correlate(present, present)[last:]
    return np.asarray(np.where(pairs > 0.5, products / np.maximum(pairs, 0.5), 0.0))


def _cutoff(covariance: Array) -> int:
    """Return the first lag that is left out."""
    pairs = covariance[: len(covariance) // 2 * 2].reshape(-1, 2).sum(axis=1)
    stops = np.flatnonzero(pairs <= 0)
    return max(int(2 * stops[0]), 1) if stops.size else len(covariance)
