"""What the network plugins share: parameters, levels, fitting, loading."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch

from vidseg.classifiers.base import Budget, FitContext
from vidseg.classifiers.linear.base import BoundedWeight, LinearClassifier
from vidseg.classifiers.linear.levels import choose_levels
from vidseg.classifiers.networks.fitting import Fitting
from vidseg.classifiers.networks.inference import META, FittedNetwork
from vidseg.classifiers.networks.model import Decoder, LinearHead, Segmenter, load_tensors
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
    TrainOptions,
)
from vidseg.classifiers.networks.trunk import Source, check_trainable
from vidseg.errors import DataError, UsageError
from vidseg.extractors.backbone import seeded
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import TrainingSet
from vidseg.utils.random import seed_of

Init = Literal["none", "svm"] | LinearClassifier


class NetworkClassifier(ABC):
    """A network that is trained end to end with its extractor.

    Subclasses say what stands on the levels (:meth:`head`). The epochs follow the budget rule.

    Args:
        lr: highest learning rate of what is new; 0.1 for sgd, 0.003 for adamw, and a
            tenth of that where a fitted model is the start.
        backbone_lr: learning rate of the extractor, as a share of ``lr``.
        optimizer: sgd (with momentum) or adamw.
        momentum: of sgd.
        weight_decay: of weights; biases and factors of normalisations have none.
        schedule: how the learning rate falls after a short rise: poly (power 0.9), cosine or
            constant.
        clip: largest norm of a step's gradient, longer ones are shortened; 0: no bound.
        epochs: passes over the frames at one image per video; fewer with more, by the budget.
        batch: crops of a step, of all processes together.
        accumulate: parts in which a batch is computed one after the other; the step is the same,
            and takes less memory.
        crop: side of the random crops, in pixels; whole images where they are smaller.
        flip: mirror half of the crops.
        positive_weight: class weight of foreground; background has 1.
        precision: 32, bf16 or 16-mixed.
        freeze: what of the extractor is not trained: none, backbone (all of it), or first:k (all
            that its k finest levels are made of).
        statistics: frozen keeps the statistics of the extractor's batch normalisation as they
            are; train lets them follow the batches.
        init: svm fits ``pixel_svm`` on the same frames first and starts there; or a linear
            classifier with its parameters, such as ``init=[pixel_svm:C=0.1]``.
        keep: last keeps the weights at the end; best those with the best IoU on a training group
            that is held out, the start included; ema their running average. By default last, and
            best where a fitted model is the start and ``validate`` holds a group out.
        validate: hold a training group out, and log its IoU, with any ``keep``.
        compile: use torch.compile; without a compiler it goes on without.
        checkpoints: models that are logged beside the one at the end, as they were after equal
            parts of the training; each takes the disk that the network takes.
        levels: levels of the extractor to use; by default the paper's for VGG16 (of which
            decoders read conv1_2 to conv5_3), and all of any other extractor.
    """

    contract: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"frames"})
    distributed: ClassVar[bool] = True
    takes_init: ClassVar[bool] = True
    holds_extractor: ClassVar[bool] = True
    scales_levels: ClassVar[bool] = True
    """Whether levels are divided by their root mean square on training images."""
    name: ClassVar[str]

    def __init__(
        self,
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
        self.options = TrainOptions(
            optimizer,
            lr,
            backbone_lr,
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
            keep,
            validate,
            compile,
            checkpoints,
        )
        self.frozen, self.statistics, self.init, self.chosen = freeze, statistics, init, levels

    @abstractmethod
    def head(
        self, source: Source, levels: Sequence[int] | None, linear: Sequence[int]
    ) -> tuple[LinearHead | None, Decoder | None]:
        """Return what stands on the levels of a trunk.

        Args:
            source: the trunk.
            levels: its levels that were asked for, or None.
            linear: levels that a linear head reads; none: no head, but where the network is one.

        Raises:
            UsageError: the parameters do not go with the levels.
        """

    @property
    def extra(self) -> list[object]:
        """What tells two trainings apart beside the shared parameters."""
        return []

    def levels(self, handle: ExtractorHandle) -> Sequence[int]:
        """Return the extractor's levels that were asked for, or the default ones.

        Raises:
            UsageError: the extractor has nothing to train.
        """
        if self.frozen != "backbone":
            check_trainable(handle, self.name)
        return choose_levels(handle, self.chosen)

    def reads(self, images_per_video: float, budget: Budget) -> int:
        """Return how often a fit looks at each frame."""
        return budget.epochs(images_per_video, self.options.epochs)

    def fit(self, train: TrainingSet, handle: ExtractorHandle, ctx: FitContext) -> FittedNetwork:
        """Train on ``train``; goes on from a checkpoint in ``ctx.workdir``.

        Curves, by finished epochs: ``loss``, ``iou`` (of the training crops, before each step),
        ``lr``, ``images_per_second``, ``waiting_share``, ``peak_memory``, and ``validation_iou``,
        which is measured before the first step as well. Facts: ``epochs``, ``updates``,
        ``frames_seen``, ``pixels_seen``, ``train_seconds``, ``waiting_share``,
        ``images_per_second``, ``out_of_time``, ``parameters``, ``trained_parameters``, ``lr``.

        Raises:
            DataError: the loss is not finite; a checkpoint or a model to start from does not fit.
            ResourceError: a step does not fit the memory; says what to lower.
            UsageError: a parameter does not go with the extractor or the data.
        """
        if self.statistics == "train" and ctx.world > 1:
            raise UsageError(
                "statistics=train does not go with several processes",
                where=self.name,
                hint="leave it out, or start one process",
            )
        return Fitting(self, handle, ctx).run(train)

    def load(self, state: Mapping[str, npt.NDArray[Any]], handle: ExtractorHandle) -> FittedNetwork:
        """Rebuild the network that :meth:`FittedNetwork.export` wrote; reads no other weights.

        Raises:
            DataError: the state is of another network.
        """
        try:
            facts = json.loads(bytes(state[META]))
            linear, padded = tuple(facts["linear"]), bool(facts["padded"])
        except (KeyError, ValueError, TypeError) as error:
            raise DataError("the model is no network", where=self.name) from error
        net = self.module(handle, linear, weights=False)
        tensors = {k: torch.from_numpy(np.array(v)) for k, v in state.items() if k != META}
        load_tensors(net, tensors, self.name)
        return self.fitted(net, linear, padded=padded)

    def module(
        self, handle: ExtractorHandle, linear: Sequence[int] = (), *, weights: bool, seed: int = 0
    ) -> Segmenter:
        """Return the network, untrained but for its trunk.

        Args:
            handle: the extractor.
            linear: levels of the trunk that a linear head reads beside a decoder.
            weights: load those of the extractor.
            seed: of what is new.
        """
        source = Source.of(handle)
        trunk = source.trunk(weights=weights, frozen_statistics=self.statistics == "frozen")
        levels = None if self.chosen is None else [source.own[i] for i in sorted(self.chosen)]
        drawn = seed_of(seed, "network") % 2**63
        return seeded(drawn, lambda: Segmenter(trunk, *self.head(source, levels, linear))).eval()

    def fitted(self, net: Segmenter, linear: Sequence[int], *, padded: bool) -> FittedNetwork:
        """Return a trained network with what it needs to score images."""
        facts = {"linear": list(linear), "padded": padded}
        return FittedNetwork(net, facts)
