"""One gradient step: precision and device by Lightning Fabric, sums over parts and processes.

A step's loss is the mean cross entropy over the labelled pixels of ALL its crops: sums of loss,
gradients and pixels are added over parts of a batch and over processes, and divided once. So
neither accumulation nor the number of processes changes what a step is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch.nn import functional as F

from vidseg.classifiers.base import FitContext
from vidseg.classifiers.networks.checkpoint import Tensors, optimizer_tensors, restore_optimizer
from vidseg.classifiers.networks.data import Batch
from vidseg.classifiers.networks.inference import as_input
from vidseg.classifiers.networks.model import Segmenter
from vidseg.classifiers.networks.options import Precision, TrainOptions
from vidseg.classifiers.networks.trunk import groups
from vidseg.types import Size

SUMS = ("loss", "pixels", "hits", "false_alarms", "misses")
"""What a step counts of its labelled pixels, before it changes the network."""
PRECISIONS: dict[Precision, str] = {32: "32-true", "bf16": "bf16-mixed", "16-mixed": "16-mixed"}
"""Fabric's names."""

Forward = Callable[[torch.Tensor, Size], torch.Tensor]


class Descent:
    """Changes a network by gradient steps.

    Args:
        net: the network, on the CPU; moved to the device.
        options: optimizer, precision, weights.
        ctx: device, and the other processes.
        size: of the crops.
        mean_weight: mean class weight of a labelled pixel of the training frames.
    """

    def __init__(
        self,
        net: Segmenter,
        options: TrainOptions,
        ctx: FitContext,
        size: Size,
        mean_weight: float,
    ) -> None:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies import SingleDeviceStrategy

        for name in ("lightning_fabric", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self.device = _own_device(ctx.device)
        self.net, self.options, self.ctx, self.size = net, options, ctx, size
        self.mean_weight = mean_weight
        self._unit = float(size.height * size.width * options.batch)
        net.to(memory_format=torch.channels_last)
        self.fabric = Fabric(
            accelerator=self.device.type,
            strategy=SingleDeviceStrategy(device=self.device),
            precision=cast("Any", PRECISIONS[options.precision]),
        )
        self._module, self._optimizer = self.fabric.setup(net, self._make_optimizer())
        self._forward: Forward = self._module
        if options.compile:
            self._forward = self._compiled()

    @property
    def plain_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer without Fabric's cover."""
        return cast("torch.optim.Optimizer", self._optimizer.optimizer)

    def tensors(self) -> Tensors:
        """Return the optimizer's state."""
        return optimizer_tensors(self.plain_optimizer)

    def restore(self, tensors: Tensors, scaler: dict[str, float]) -> None:
        """Give the optimizer and the loss scaling the state they had."""
        restore_optimizer(self.plain_optimizer, tensors)
        if scaler and self._scaler is not None:
            self._scaler.load_state_dict(scaler)

    def scaler(self) -> dict[str, float]:
        """Return the state of the loss scaling of 16-mixed, else nothing."""
        return {} if self._scaler is None else dict(self._scaler.state_dict())

    @property
    def _scaler(self) -> Any:
        return getattr(self.fabric.strategy.precision, "scaler", None)

    def gradients(
        self, batch: Batch, rate: float, *, late: bool
    ) -> tuple[torch.Tensor, float, bool]:
        """Compute the gradients of a step; the network is not changed.

        Args:
            batch: this process's crops.
            rate: learning rate.
            late: the first process finds that the time is over.

        Returns:
            :data:`SUMS` over all crops of all processes (``float64``, on the device, so that
            nobody waits for them), the labelled pixels, and whether the time is over for all.

        Raises:
            Stopped: another process ended.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = rate * (self.options.backbone_lr if group["trunk"] else 1.0)
        self._optimizer.zero_grad()
        sums = self._backward(batch)
        pixels = float(np.count_nonzero(batch.labels))
        if self.ctx.world == 1:
            return sums, pixels, late
        own = [*sums.tolist(), pixels, float(late and not self.ctx.rank)]
        *found, pixels, clock = self.ctx.reduce(np.array(own)).tolist()
        self._reduce()
        return torch.tensor(found, dtype=torch.float64), pixels, bool(clock)

    def step(self, pixels: float) -> None:
        """Change the network by the gradients of a step with ``pixels`` labelled pixels."""
        if not pixels:
            return
        gradients = [p.grad for p in self.net.parameters() if p.grad is not None]
        if gradients:
            torch._foreach_mul_(gradients, self._unit / (pixels * self.mean_weight))
        if self.options.clip:
            self.fabric.clip_gradients(
                self._module, self._optimizer, max_norm=self.options.clip, error_if_nonfinite=False
            )
        self._optimizer.step()

    def _backward(self, batch: Batch) -> torch.Tensor:
        totals = torch.zeros(len(SUMS), dtype=torch.float64, device=self.device)
        parts = min(self.options.accumulate, len(batch))
        for number in range(parts):
            part = batch.part(number, parts)
            images = as_input(part.images, self.device)
            labels = torch.from_numpy(np.ascontiguousarray(part.labels))
            labels = labels.to(self.device, non_blocking=True)
            scores = self._forward(images, Size(*labels.shape[-2:])).float()
            loss = self._loss(scores, labels)
            # in units of a step's pixels: sums would leave the range of half precision
            self.fabric.backward(loss / self._unit)
            totals += _counted(loss, scores.detach(), labels)
        return totals

    def _loss(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the summed cross entropy of the labelled pixels."""
        weights = torch.where(labels > 0, self.options.positive_weight, 1.0) * labels.abs()
        return (weights * F.softplus(-labels * scores)).sum()

    def _reduce(self) -> None:
        """Add the gradients of all processes."""
        gradients = [p.grad for p in self.net.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        if flat.device.type == "cpu":
            flat = torch.from_numpy(self.ctx.reduce(flat.numpy()))
        else:
            torch.distributed.all_reduce(flat)
        sizes = [gradient.numel() for gradient in gradients]
        parts = torch.split(flat, sizes)
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def _make_optimizer(self) -> torch.optim.Optimizer:
        options = self.options
        found = groups(self.net, self.net.trunk, options.weight_decay)
        if options.optimizer == "adamw":
            return torch.optim.AdamW(found, lr=options.rate)
        return torch.optim.SGD(found, lr=options.rate, momentum=options.momentum)

    def _compiled(self) -> Forward:
        """Return the compiled network, the plain one where compiling fails."""
        found = cast("Forward", torch.compile(self._module))
        try:
            images = torch.zeros(1, 3, *self.size, device=self.device)
            self.fabric.backward(found(images, self.size).sum())
        except Exception as error:
            reason = " ".join(str(error).split())[:120]
            self.ctx.progress.say(f"torch.compile fails, so it runs without it: {reason}")
            return self._forward
        finally:
            self._optimizer.zero_grad()
        return found


def _own_device(device: str) -> torch.device:
    """Return this process's device."""
    if device.startswith("cuda") and ":" not in device:
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device(device)


def _counted(loss: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return :data:`SUMS` of some crops, ``float64``."""
    found, true = scores > 0, labels > 0
    counts: Sequence[torch.Tensor] = (
        (labels != 0).sum(),
        (found & true).sum(),
        (found & (labels < 0)).sum(),
        (~found & true).sum(),
    )
    return torch.stack([one.detach().double() for one in (loss, *counts)])
