"""U-Net on the levels of an extractor; on VGG16 from conv1_2 to the bottleneck conv5_3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.classifiers.linear.base import BoundedWeight
from vidseg.classifiers.networks.base import Init, NetworkClassifier
from vidseg.classifiers.networks.decoders import WIDEST, UNetDecoder
from vidseg.classifiers.networks.model import Decoder, LinearHead
from vidseg.classifiers.networks.options import (
    Count,
    Decay,
    Keep,
    Kept,
    Momentum,
    Optimizer,
    Precision,
    Rate,
    Schedule,
    Share,
    Side,
    Statistics,
)
from vidseg.classifiers.networks.trunk import Source
from vidseg.errors import UsageError

Width = Annotated[int, Field(ge=1, le=4096)]


class UNet(NetworkClassifier):
    """U-Net: levels are enlarged and joined with the next finer one, two convolutions a step.

    Args:
        widths: channels of the decoder's steps, coarse to fine; one number is the most that a
            step has, each has those of its skip otherwise.
    """

    name: ClassVar[str] = "unet"
    deep: ClassVar[bool] = False

    def __init__(
        self,
        widths: Width | list[Width] = WIDEST,
        lr: Rate | None = None,
        backbone_lr: Share = 0.1,
        optimizer: Optimizer = "sgd",
        momentum: Momentum = 0.9,
        weight_decay: Decay = 1e-4,
        schedule: Schedule = "poly",
        clip: Decay = 1.0,
        epochs: Count = 60,
        batch: Count = 4,
        accumulate: Count = 1,
        crop: Side = 256,
        flip: bool = False,
        positive_weight: BoundedWeight = 1.0,
        precision: Precision = 32,
        freeze: str = "none",
        statistics: Statistics = "frozen",
        init: Init = "none",
        keep: Keep | None = None,
        validate: bool = False,
        compile: bool = False,  # noqa: A002
        checkpoints: Kept = 0,
        levels: list[int] | None = None,
    ) -> None:
        super().__init__(
            lr,
            backbone_lr,
            optimizer,
            momentum,
            weight_decay,
            schedule,
            clip,
            epochs,
            batch,
            accumulate,
            crop,
            flip,
            positive_weight,
            precision,
            freeze,
            statistics,
            init,
            keep,
            validate,
            compile,
            checkpoints,
            levels,
        )
        self.widths = widths

    def head(
        self, source: Source, levels: Sequence[int] | None, linear: Sequence[int]
    ) -> tuple[LinearHead | None, Decoder | None]:
        """Return a decoder, and a linear head where a linear model is the start.

        Raises:
            UsageError: there are as many widths as steps, or one.
        """
        channels = source.handle.channels
        used = levels or source.decoder
        steps = len(used) - 1 + self.deep
        if not steps or (isinstance(self.widths, list) and len(self.widths) != steps):
            raise UsageError(
                f"a {self.name} on {len(used)} levels has {steps} steps, widths={self.widths}",
                where=self.name,
                hint="give as many widths, coarse to fine, or one number; and two levels or more",
            )
        head = LinearHead(channels, linear) if linear else None
        return head, UNetDecoder(channels, used, self.widths, deep=self.deep)

    @property
    def extra(self) -> list[object]:
        """What tells two trainings apart beside the shared parameters."""
        return [self.widths]
