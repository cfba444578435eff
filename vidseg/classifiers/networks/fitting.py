"""One fit of a network: from the extractor and its start to the trained network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.linear.base import LinearClassifier
from vidseg.classifiers.linear.head import LinearHead as FittedHead
from vidseg.classifiers.linear.pixel_svm import PixelSvm
from vidseg.classifiers.networks.checkpoint import Checkpoints
from vidseg.classifiers.networks.data import Steps, canvas
from vidseg.classifiers.networks.descent import Descent
from vidseg.classifiers.networks.inference import FittedNetwork
from vidseg.classifiers.networks.memory import FLOAT, activations
from vidseg.classifiers.networks.model import Segmenter, load_tensors
from vidseg.classifiers.networks.options import TrainOptions
from vidseg.classifiers.networks.snapshots import Snapshots
from vidseg.classifiers.networks.start import (
    LinearStart,
    check_start,
    foreground_share,
    log_odds,
    measure_scales,
)
from vidseg.classifiers.networks.training import Trainer
from vidseg.classifiers.networks.trunk import Source, freeze
from vidseg.classifiers.networks.validation import Validation, held_out
from vidseg.errors import ResourceError
from vidseg.extractors.base import ExtractorHandle
from vidseg.types import FrameRef, Size, TrainingSet
from vidseg.utils.bytes import format_bytes
from vidseg.utils.hashing import digest

if TYPE_CHECKING:
    from vidseg.classifiers.networks.base import NetworkClassifier


@dataclass(frozen=True)
class Fitting:
    """One fit.

    Attributes:
        network: the plugin.
        handle, ctx: what it was given.
    """

    network: NetworkClassifier
    handle: ExtractorHandle
    ctx: FitContext

    def run(self, given: TrainingSet) -> FittedNetwork:
        """Train on ``given``, or go on from a checkpoint; see :meth:`NetworkClassifier.fit`."""
        network, ctx, options = self.network, self.ctx, self._options
        train, held = given, None
        if options.validate or options.keep == "best":
            train, held = held_out(given, ctx.seed, network.name)
        checkpoints = self._checkpoints(train)
        net = network.module(
            self.handle, self._linear, weights=not checkpoints.exists, seed=ctx.seed
        )
        left = freeze(net.trunk, network.frozen)
        size = self._size(train, net.stride)
        self._check_memory(net, size)
        share = foreground_share(train)
        if not checkpoints.exists:
            self._start(net, train, share)
        fitted = network.fitted(net, self._linear, padded=self._padded)
        weight = options.positive_weight * share + 1 - share
        epochs = ctx.budget.epochs(len(train.refs) / train.videos, options.epochs)
        trainer = Trainer(
            net,
            Descent(net, options, ctx, size, weight),
            Steps(train, size, options.batch, ctx.seed, options.flip, ctx.rank, ctx.world),
            epochs,
            ctx,
            checkpoints,
            None if held is None else Validation.of(held, fitted, ctx.device),
            None
            if ctx.rank
            else Snapshots.of(train, held, fitted, ctx, epochs, options.checkpoints),
            network.name,
        )
        resumed = trainer.restore()
        self._say(trainer, resumed, left)
        trainer.run()
        ctx.facts |= {
            "parameters": float(sum(p.numel() for p in net.parameters())),
            "trained_parameters": float(
                sum(p.numel() for p in net.parameters() if p.requires_grad)
            ),
            "lr": options.rate,
        }
        return fitted

    @property
    def _options(self) -> TrainOptions:
        return self.network.options.started(fitted=self._init != "none")

    @property
    def _init(self) -> Any:
        return self.ctx.init if self.ctx.init is not None else self.network.init

    @property
    def _linear(self) -> tuple[int, ...]:
        """The trunk's levels that a linear head reads beside a decoder."""
        if isinstance(self._init, FittedNetwork):
            return tuple(self._init.facts["linear"])
        if self._init == "none":
            return ()
        own = Source.of(self.handle).own
        return tuple(own[level] for level in self.network.levels(self.handle))

    @property
    def _padded(self) -> bool:
        """Whether images are padded to the stride: a linear model saw them as they are."""
        if isinstance(self._init, FittedNetwork):
            return bool(self._init.facts["padded"])
        return bool(self._init == "none")

    def _start(self, net: Segmenter, train: TrainingSet, share: float) -> None:
        ctx, network = self.ctx, self.network
        if isinstance(self._init, FittedNetwork):
            load_tensors(net, self._init.net.state_dict(), f"{network.name}, init_from")
            return
        if network.scales_levels:
            measure_scales(net, train, ctx)
        weight = network.options.positive_weight
        if self._init == "none":
            net.start_at(log_odds(share, weight))
            return
        head = self._linear_model(train)
        start = LinearStart(head, Source.of(self.handle).own)
        ctx.facts["init_factor"] = start.put_into(net, train, ctx, weight)

    def _linear_model(self, train: TrainingSet) -> FittedHead:
        """Return the linear model to start from, fitted now where none was given.

        Raises:
            DataError: it is of another extractor or other levels.
        """
        ctx, levels = self.ctx, list(self.network.levels(self.handle))
        found: Any = ctx.init
        if found is None:
            init = self.network.init
            linear = init if isinstance(init, LinearClassifier) else PixelSvm(levels=levels)
            inner = replace(
                ctx,
                facts={},
                workdir=ctx.workdir / "init",
                log=lambda name, value, step: ctx.log(f"init/{name}", value, step),
            )
            if not getattr(linear, "distributed", False):
                inner = replace(inner, rank=0, world=1, reduce=lambda array: array)
            inner.workdir.mkdir(parents=True, exist_ok=True)
            found = linear.fit(train, self.handle, inner)
            ctx.facts |= {f"init_{name}": value for name, value in inner.facts.items()}
        return check_start(found, self.handle.fingerprint, levels, self.network.name)

    def _size(self, train: TrainingSet, stride: int) -> Size:
        """Return the size of all crops.

        Raises:
            UsageError: the extractor cannot take it.
        """
        firsts: dict[str, FrameRef] = {}
        for ref in train.refs:
            firsts.setdefault(ref.video, replace(ref, variant=None))
        sizes = [Size(*np.asarray(train.frame(ref)).shape[:2]) for ref in firsts.values()]
        found = canvas(sizes, self.network.options.crop, stride, padded=self._padded)
        if self.network.scales_levels:  # measured on whole images, without padding
            for size in dict.fromkeys(sizes):
                self.handle.sizes(size)
        self.handle.sizes(found)
        return found

    def _check_memory(self, net: Segmenter, size: Size) -> None:
        """Refuse a step that would not fit the memory budget; a GPU says so itself.

        Raises:
            ResourceError: says the arithmetic, and what to lower.
        """
        if self.ctx.device != "cpu":
            return
        options = self._options
        crops = -(-options.batch // self.ctx.world)
        crops = -(-crops // options.accumulate)
        trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
        copies = {"sgd": 2, "adamw": 3}[options.optimizer]
        held = sum(p.numel() for p in net.parameters()) * (1 + (options.keep != "last"))
        fixed = (held + copies * trained) * FLOAT
        each = activations(net, size, size).training
        if fixed + crops * each <= self.ctx.memory_budget:
            return
        fitting = (self.ctx.memory_budget - fixed) // each
        hint = (
            f"choose accumulate={-(-options.batch // fitting)}, or a smaller batch or crop"
            if fitting > 0
            else "choose a smaller crop, fewer levels, or raise --memory-budget"
        )
        raise ResourceError(
            f"{crops} crops of {size} need {format_bytes(crops * each)} and the network "
            f"{format_bytes(fixed)}, memory_budget is {format_bytes(self.ctx.memory_budget)}",
            where=self.network.name,
            hint=hint,
        )

    def _checkpoints(self, train: TrainingSet) -> Checkpoints:
        """Return where this training is kept; another one has another folder."""
        network, ctx = self.network, self.ctx
        budget = ctx.budget
        facts = [
            network.name,
            repr(self._options),
            network.frozen,
            network.statistics,
            list(network.levels(self.handle)),
            self._linear,
            self._padded,
            self.handle.fingerprint,
            hashlib.sha256(repr(list(train.refs)).encode()).hexdigest(),
            [ctx.seed, budget.rule, budget.base],
            [str(train.image_size), str(train.mask_size)],
            list(network.extra),
        ]
        identity = digest(json.loads(json.dumps(facts)))
        return Checkpoints(ctx.workdir / f"network-{identity[:12]}", identity)

    def _say(self, trainer: Trainer, resumed: bool, trained: int) -> None:
        options, steps = self._options, trainer.steps
        scales = ", ".join(f"{1 / float(scale):.3g}" for scale in trainer.net.scale)
        say = self.ctx.progress.say
        if resumed:
            say(f"{self.network.name}: goes on after step {trainer.course.step}")
            return
        say(
            f"{self.network.name}: {options.optimizer}, lr {options.rate:g} (extractor "
            f"{options.rate * options.backbone_lr:g}, {trained / 1e6:.3g} million of its numbers "
            f"are trained), levels divided by {scales}; {trainer.epochs} epochs of "
            f"{steps.per_epoch} steps of {min(options.batch, len(steps.train.refs))} crops of "
            f"{steps.size}"
        )
