"""What ``sgd`` and ``sgd_svm`` share: epochs by the budget, the weight of the regularisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from vidseg.classifiers.base import Budget
from vidseg.classifiers.linear.base import CostMode, LinearClassifier, LinearFit, LossName
from vidseg.errors import UsageError
from vidseg.utils.progress import ProgressBar


class StochasticClassifier(LinearClassifier):
    """A linear classifier that is trained in epochs.

    Attributes:
        name: of the plugin, for messages.
        default_steps: ``step`` by loss where none is given.
    """

    name: ClassVar[str]
    default_steps: ClassVar[dict[LossName, float]]

    def __init__(
        self,
        C: float,  # noqa: N803
        C_mode: CostMode,  # noqa: N803
        loss: LossName,
        epochs: int,
        step: float | None,
        average: bool,
        positive_weight: float,
        standardise: bool,
        sigma_floor: float,
        levels: Sequence[int] | None,
    ) -> None:
        super().__init__(C_mode, positive_weight, standardise, sigma_floor, levels)
        self.C, self.loss, self.epochs, self.average = C, loss, epochs, average
        self.step = step if step is not None else self.default_steps[loss]

    def reads(self, images_per_video: float, budget: Budget) -> int:
        """Return how often a fit reads each frame's features: to standardise, then every epoch."""
        return 1 + budget.epochs(images_per_video, self.epochs)

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
        train, ctx = fit.train, fit.ctx
        epochs = ctx.budget.epochs(len(train.refs) / train.videos, self.epochs)
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
