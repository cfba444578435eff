"""Class weights to a common prior: foreground weighs as much in every arm.

The paper blames a loss on "worse balance in 20 than in 1". With weights each arm's pixels count as
if the same share of them were foreground, so that a difference between arms is none of balance.
"""

from __future__ import annotations

from dataclasses import replace

from vidseg import plugins
from vidseg.errors import UsageError
from vidseg.plugins.spec import Spec

PARAMETER = "positive_weight"
"""The parameter of a classifier that weighs its foreground; background has 1."""


def positive_weight(share: float, prior: float) -> float:
    """Return the weight w of foreground with ``w s / (w s + 1 - s) = prior``.

    Args:
        share: s, the share of foreground among the labelled training pixels, in (0, 1).
        prior: the share that it shall weigh, in (0, 1).
    """
    return prior / (1 - prior) * (1 - share) / share


def check_weighable(classifier: Spec, prior: float | None) -> None:
    """Refuse a prior where the classifier cannot take it.

    Args:
        classifier: resolved spec.
        prior: None asks for nothing.

    Raises:
        UsageError: the classifier has no class weight, or was given one.
    """
    if prior is None:
        return
    defaults = plugins.defaults(plugins.find("classifier", classifier.name))
    if PARAMETER not in defaults:
        raise UsageError(
            f"the classifier {classifier.name} has no {PARAMETER}",
            where="prior",
            hint="leave prior out, or choose a linear classifier",
        )
    if classifier.params.get(PARAMETER, defaults[PARAMETER]) != defaults[PARAMETER]:
        raise UsageError(
            f"{PARAMETER} is given to the classifier as well", where="prior", hint="give one"
        )


def weighted(classifier: Spec, share: float, prior: float) -> Spec:
    """Return the classifier with the weight that makes ``share`` weigh ``prior``.

    Raises:
        UsageError: as :func:`check_weighable`.
    """
    check_weighable(classifier, prior)
    weight = positive_weight(share, prior)
    return replace(classifier, params={**classifier.params, PARAMETER: weight})
