"""What ``sgd`` and ``sgd_svm`` share: epochs by the budget, the weight of the regularisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from vidseg.classifiers.base import Budget
from vidseg.classifiers.linear.base import CostMode, LinearClassifier, LinearFit
from vidseg.errors import UsageError
from vidseg.utils.progress import ProgressBar

AVERAGED = 0.5
"""Share of the steps after which the weights are averaged."""


def step_share(done: float) -> float:
    """Return what of the first step is left after a share ``done`` of all steps, both in 0..1.

    Steps fall linearly to (almost) nothing, so that the noise of single steps goes away; the
    weights are averaged only from the middle on (:data:`AVERAGED`), when they are near the optimum.
    """
    return max(1.0 - done, 1e-6)


class StochasticClassifier(LinearClassifier):
    """A linear classifier that is trained in epochs.

    Attributes:
        name: of the plugin, for messages.
        C, C_mode, epochs, step: parameters.
    """

    name: ClassVar[str]
    C: float
    C_mode: CostMode
    epochs: int
    step: float

    def reads(self, images_per_video: float, budget: Budget) -> int:
        """Return how often a fit reads each frame's features: to standardise, then every epoch."""
        return 1 + budget.epochs(images_per_video, self.epochs)

    def _epochs(self, fit: LinearFit) -> int:
        """Return how many epochs the budget allows."""
        train = fit.train
        return fit.ctx.budget.epochs(len(train.refs) / train.videos, self.epochs)

    def _decay(self, weight: float) -> float:
        """Return the weight of ``||w||^2 / 2`` beside the mean loss.

        Args:
            weight: sum of the class weights over all points.
        """
        return 1 / self.C if self.C_mode == "mean" else 1 / (self.C * weight)

    def _descend(
        self, fit: LinearFit, visits: int, learn: Callable[[int, ProgressBar], float]
    ) -> None:
        """Run the budget's epochs; records ``epochs`` (finished ones) and ``out_of_time``.

        Args:
            fit: the fit.
            visits: what progress advances by in an epoch.
            learn: learns one epoch, given its number, and returns its mean loss.
        """
        ctx, epochs = fit.ctx, self._epochs(fit)
        ctx.facts |= {"epochs": 0.0, "out_of_time": 0.0}
        with (
            fit.solving(),
            ctx.progress.task(f"{self.name}, {epochs} epochs", epochs * visits) as task,
        ):
            for epoch in range(epochs):
                ctx.log("loss", learn(epoch, task), epoch)
                if fit.out_of_time:
                    ctx.facts["out_of_time"] = 1.0
                    break
                ctx.facts["epochs"] += 1

    def _overflow(self) -> UsageError:
        return UsageError(
            f"the weights overflow with step={self.step:g}", where=self.name, hint="choose less"
        )
