"""Groups -> differences, intervals, tests and verdicts, on plain numbers (DESIGN section 2).

The unit is the group of videos that share a scene; seeds are averaged inside it first
(:func:`average_seeds`). Nothing here depends on videos, suites or MLflow.
"""

from vidseg.stats.allocation import Allocation, best_allocation
from vidseg.stats.curve import GainCurve, fit_gain_curve
from vidseg.stats.decision import Decision, Option, Standing, decide
from vidseg.stats.effective import effective_frames
from vidseg.stats.exchange import ExchangeRate, exchange_rate
from vidseg.stats.holm import holm
from vidseg.stats.power import groups_needed, groups_to_show
from vidseg.stats.signflip import Interval, SignFlip, sign_flip, smallest_groups
from vidseg.stats.verdict import (
    Comparison,
    LeftOut,
    Verdict,
    average_seeds,
    compare,
    with_holm,
)

__all__ = [
    "Allocation",
    "Comparison",
    "Decision",
    "ExchangeRate",
    "GainCurve",
    "Interval",
    "LeftOut",
    "Option",
    "SignFlip",
    "Standing",
    "Verdict",
    "average_seeds",
    "best_allocation",
    "compare",
    "decide",
    "effective_frames",
    "exchange_rate",
    "fit_gain_curve",
    "groups_needed",
    "groups_to_show",
    "holm",
    "sign_flip",
    "smallest_groups",
    "with_holm",
]
