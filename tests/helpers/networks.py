"""A network classifier of tests: it reads frames, and counts what is done with its models."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from vidseg.classifiers.base import FitContext
from vidseg.types import Image, Scores, Size, State, TrainingSet

COUNTS: Counter[str] = Counter()
"""``loads``, and ``most``: the most models that were alive at a time."""
BATCHES: list[tuple[int, str]] = []
"""Number of images and device of every scored batch."""
ALIVE: weakref.WeakSet[TinyNetwork] = weakref.WeakSet()


def forget() -> None:
    """Count from the beginning."""
    COUNTS.clear()
    BATCHES.clear()


class TinyNetwork:
    """Two convolutions on an image."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        ALIVE.add(self)
        COUNTS["most"] = max(COUNTS["most"], len(ALIVE))

    def batch_scores(self, images: Sequence[Image], size: Size, device: str) -> Scores:
        BATCHES.append((len(images), device))
        with torch.inference_mode():
            return np.asarray(_logits(self.net.to(device), images, size).cpu())

    def export(self) -> State:
        return {name: value.detach().cpu().numpy() for name, value in self.net.state_dict().items()}


class TinyNet:
    """Train two convolutions by gradient descent, some steps of one frame each.

    Args:
        steps: number of steps.
    """

    contract: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"frames"})
    takes_init: ClassVar[bool] = True

    def __init__(self, steps: Annotated[int, Field(ge=0)] = 4) -> None:
        self.steps = steps

    def levels(self, handle: Any) -> Sequence[int]:
        return [0]

    def fit(self, train: TrainingSet, handle: Any, ctx: FitContext) -> TinyNetwork:
        net = _made(ctx.seed)
        if isinstance(ctx.init, TinyNetwork):
            net.load_state_dict(ctx.init.net.state_dict())
        descent = torch.optim.SGD(net.parameters(), lr=0.1)
        for step in range(self.steps):
            ctx.stop()
            ref = train.refs[step % len(train.refs)]
            mask = torch.from_numpy(np.array(train.mask(ref), np.float32))
            logits = _logits(net, [train.frame(ref)], train.mask_size)[0]
            loss = (F.softplus(-mask * logits) * mask.abs()).mean()
            descent.zero_grad()
            loss.backward()
            descent.step()
            ctx.log("loss", loss.item(), step)
            ctx.show(ref, logits.detach().numpy(), step)
            ctx.keep(step, TinyNetwork(net).export())
        ctx.facts["started"] = float(ctx.init is not None)
        return TinyNetwork(net.eval())

    def load(self, state: Mapping[str, Any], handle: Any) -> TinyNetwork:
        COUNTS["loads"] += 1
        net = _made(0)
        net.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
        return TinyNetwork(net.eval())


def _made(seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))


def _logits(net: nn.Module, images: Sequence[Any], size: Size) -> torch.Tensor:
    device = next(net.parameters()).device
    batch = torch.from_numpy(np.stack(images)).to(device, torch.float32).permute(0, 3, 1, 2) / 255
    return F.interpolate(net(batch), tuple(size), mode="bilinear")[:, 0]
