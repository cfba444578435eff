"""What a network's training is made of, as its plugins' parameters say."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["poly", "cosine", "constant"]
Precision = Literal[32, "bf16", "16-mixed"]
Keep = Literal["last", "best", "ema"]
Statistics = Literal["frozen", "train"]

Rate = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**6)]
Kept = Annotated[int, Field(ge=0, le=100)]
Side = Annotated[int, Field(ge=16, le=8192)]

RATES: dict[Optimizer, float] = {"sgd": 0.1, "adamw": 3e-3}
GENTLE = 0.1
"""Share of the default rate where a fitted model is the start: more would undo it at once."""
WARMUP = 10
"""Steps in which the learning rate rises, at most a tenth of all."""


@dataclass(frozen=True)
class TrainOptions:
    """How a network is trained; the parameters of :class:`NetworkClassifier` describe them."""

    optimizer: Optimizer
    lr: float | None
    backbone_lr: float
    momentum: float
    weight_decay: float
    schedule: Schedule
    clip: float
    epochs: int
    batch: int
    accumulate: int
    crop: int
    flip: bool
    positive_weight: float
    precision: Precision
    keep: Keep | None
    validate: bool
    compile: bool
    checkpoints: int = 0

    gentle: bool = False

    def started(self, *, fitted: bool) -> TrainOptions:
        """Return the options of a training whose start is a fitted model, or is not.

        What is not given depends on it. A fitted model is left slowly, and where held-out frames
        are scored anyway, the best network on them is kept: the start itself where no epoch is.
        """
        best = fitted and self.validate
        return replace(self, gentle=fitted, keep=self.keep or ("best" if best else "last"))

    @property
    def rate(self) -> float:
        """The highest learning rate; by default less where a fitted model is the start."""
        if self.lr is not None:
            return self.lr
        return RATES[self.optimizer] * (GENTLE if self.gentle else 1)

    def rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of a step: a short rise, then the schedule.

        >>> plain = TrainOptions("sgd", 1.0, 1, 0, 0, "poly", 1, 1, 1, 1, 16, False, 1, 32,
        ...                      "last", False, False)
        >>> [round(plain.rate_at(step, 100), 3) for step in (0, 9, 50, 99)]
        [0.1, 0.919, 0.536, 0.016]
        """
        rise = min(1.0, (step + 1) / max(1, min(WARMUP, steps // 10)))
        left = 1 - step / steps
        fall: float = {
            "poly": left**0.9,
            "cosine": (1 + math.cos(math.pi * (1 - left))) / 2,
            "constant": 1.0,
        }[self.schedule]
        return self.rate * rise * fall
