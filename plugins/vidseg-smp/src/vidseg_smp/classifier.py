"""Networks of segmentation_models_pytorch: U-Net, U-Net++, MAnet, LinkNet, FPN and others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.base import BoundedWeight
from vidseg.classifiers.networks.base import NetworkClassifier
from vidseg.classifiers.networks.inference import FittedNetwork
from vidseg.classifiers.networks.model import Decoder, LinearHead, Segmenter
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
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import TrainingSet
from vidseg.utils.random import seed_of

from .encoder import DEPTH, Encoder

Architecture = Literal["unet", "unetplusplus", "manet", "linknet", "fpn", "pspnet", "segformer"]

DEPTHS = {"pspnet": 3}
"""Poolings of the encoder where an architecture has other than :data:`encoder.DEPTH`."""


class WholeDecoder(Decoder):
    """Decoder and segmentation head of a network of the library, as they are.

    Args:
        network: the network; its encoder is left out.
        levels: how many levels the encoder has, the image included.
    """

    deeper = 1

    def __init__(self, network: Any, levels: int) -> None:
        super().__init__()
        self.levels = tuple(range(levels))
        self.decoder, self.head = network.decoder, network.segmentation_head

    @property
    def last(self) -> nn.Conv2d:  # type: ignore[override]
        """The last convolution; not a child of its own, so that its weights are there once."""
        return [layer for layer in self.head.modules() if isinstance(layer, nn.Conv2d)][-1]

    def forward(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return ``(N, 1, h, w)`` scores."""
        scores: torch.Tensor = self.head(self.decoder(list(levels)))
        return scores


class Smp(NetworkClassifier):
    """A network of segmentation_models_pytorch, trained as vidseg's own networks are.

    The encoder is its own: the extractor of the run is not used. Batch normalisation of the
    decoder, which is new, learns its statistics; that of the encoder keeps them.

    Args:
        arch: the architecture.
        encoder: the library's name of the encoder; ``tu-NAME`` for those of timm.
        weights: of the encoder: imagenet (the library's, fetched once), none (random), or a file.
        lr: highest learning rate of the decoder; 0.1 for sgd, 0.003 for adamw.
        backbone_lr: learning rate of the encoder, as a share of ``lr``.
        optimizer: sgd (with momentum) or adamw.
        momentum: of sgd.
        weight_decay: of weights; biases and factors of normalisations have none.
        schedule: how the learning rate falls after a short rise: poly, cosine or constant.
        clip: largest norm of a step's gradient; 0: no bound.
        epochs: passes over the frames at one image per video; fewer with more, by the budget.
        batch: crops of a step.
        accumulate: parts in which a batch is computed one after the other.
        crop: side of the random crops, in pixels; whole images where they are smaller.
        flip: mirror half of the crops.
        positive_weight: class weight of foreground; background has 1.
        precision: 32, bf16 or 16-mixed.
        freeze: what is not trained: none, or backbone (the encoder).
        statistics: frozen keeps the statistics of the encoder's batch normalisation; train lets
            them follow the batches.
        keep: last keeps the weights at the end; best those with the best IoU on a training group
            that is held out; ema their running average.
        validate: hold a training group out, and log its IoU, with any ``keep``.
        checkpoints: models that are logged beside the one at the end, as they were after equal
            parts of the training.
    """

    name: ClassVar[str] = "smp"
    distributed: ClassVar[bool] = False
    takes_init: ClassVar[bool] = False
    scales_levels: ClassVar[bool] = False

    def __init__(
        self,
        arch: Architecture = "unet",
        encoder: str = "resnet18",
        weights: str = "imagenet",
        lr: Rate | None = None,
        backbone_lr: Share = 0.1,
        optimizer: Optimizer = "sgd",
        momentum: Momentum = 0.9,
        weight_decay: Decay = 1e-4,
        schedule: Schedule = "poly",
        clip: Decay = 1.0,
        epochs: Count = 100,
        batch: Count = 4,
        accumulate: Count = 1,
        crop: Side = 256,
        flip: bool = False,
        positive_weight: BoundedWeight = 1.0,
        precision: Precision = 32,
        freeze: Literal["none", "backbone"] = "none",
        statistics: Statistics = "frozen",
        keep: Keep = "last",
        validate: bool = False,
        checkpoints: Kept = 0,
    ) -> None:
        super().__init__(
            lr=lr,
            backbone_lr=backbone_lr,
            optimizer=optimizer,
            momentum=momentum,
            weight_decay=weight_decay,
            schedule=schedule,
            clip=clip,
            epochs=epochs,
            batch=batch,
            accumulate=accumulate,
            crop=crop,
            flip=flip,
            positive_weight=positive_weight,
            precision=precision,
            freeze=freeze,
            statistics=statistics,
            keep=keep,
            validate=validate,
            checkpoints=checkpoints,
        )
        self.arch, self.encoder, self.weights = arch, encoder, weights

    def levels(self, handle: ExtractorHandle) -> Sequence[int]:
        """Return one level: the extractor is not used, and a classifier has to name some."""
        return (0,)

    def head(
        self, source: Source, levels: Sequence[int] | None, linear: Sequence[int]
    ) -> tuple[LinearHead | None, Decoder | None]:
        """Return the decoder and the segmentation head."""
        import segmentation_models_pytorch as smp

        # its own encoder has random weights and is dropped
        network = smp.create_model(self.arch, self.encoder, encoder_weights=None)
        return None, WholeDecoder(network, len(source.handle.channels))

    @property
    def extra(self) -> list[object]:
        """What tells two trainings apart beside the shared parameters."""
        return [self.arch, self.encoder]

    def fit(self, train: TrainingSet, handle: ExtractorHandle, ctx: FitContext) -> FittedNetwork:
        """Train; see :meth:`vidseg.classifiers.networks.base.NetworkClassifier.fit`.

        Dropout of the decoder draws by the seed. Where an architecture has it (fpn, pspnet), a
        training that was stopped ends near, not at, the weights of an unbroken one.

        Raises:
            UsageError: a step has one crop, so small that batch normalisation has one value.
        """
        weights = "random" if self.weights == "none" else self.weights
        with torch.random.fork_rng():
            torch.manual_seed(seed_of(ctx.seed, "dropout") % 2**63)
            try:
                return super().fit(train, self._encoder(weights, ctx.seed), ctx)
            except ValueError as error:
                if "more than 1 value per channel" not in str(error):
                    raise
                raise _too_small(error) from error

    def module(
        self, handle: ExtractorHandle, linear: Sequence[int] = (), *, weights: bool, seed: int = 0
    ) -> Segmenter:
        """Return the network, untrained but for its encoder; see the base class."""
        # load() passes the extractor of the run: the state holds all weights
        own = handle if isinstance(handle, Encoder) else self._encoder("random", seed)
        return super().module(own, linear, weights=weights, seed=seed)

    def _encoder(self, weights: str, seed: int) -> Encoder:
        return Encoder(self.encoder, DEPTHS.get(self.arch, DEPTH), weights, seed)


def _too_small(error: ValueError) -> UsageError:
    return UsageError(
        f"batch normalisation has one value per channel ({str(error).partition(', ')[2]})",
        where="classifier smp",
        hint="choose a larger crop and image size (64 or more a side), or a batch that divides the "
        "number of frames",
    )
