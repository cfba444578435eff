"""A small trainable extractor, training sets for it, and contexts, for tests of networks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.helpers.training import TinyTraining
from vidseg.classifiers.base import FitContext
from vidseg.types import FrameRef, Size
from vidseg.utils.progress import Quiet

SIZE = Size(24, 32)
FRAMES = tuple(FrameRef(video, index) for video in "ab" for index in (0, 1))


class Ladder(nn.Module):
    """Convolution, batch normalisation and ReLU at strides 1, 2 and 4."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        given = (3, *channels[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, stride=1 if place == 0 else 2, padding=1, bias=False),
                nn.BatchNorm2d(b),
                nn.ReLU(),
            )
            for place, (a, b) in enumerate(zip(given, channels, strict=True))
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        levels = []
        for stage in self.stages:
            images = stage(images)
            levels.append(images)
        return levels


@dataclass(frozen=True)
class LadderHandle:
    """An extractor handle whose weights can be trained; takes images of any size."""

    channels: tuple[int, ...] = (4, 6, 8)
    seed: int = 0
    loud: float = 1.0
    contract = 1

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(f"step{i}" for i in range(len(self.channels)))

    @property
    def strides(self) -> tuple[int, ...]:
        return tuple(2**i for i in range(len(self.channels)))

    def sizes(self, size: Size) -> tuple[Size, ...]:
        return tuple(Size(*(-(-side // stride) for side in size)) for stride in self.strides)

    def build(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            ladder = Ladder(self.channels)
            for module in ladder.modules():
                if isinstance(module, nn.BatchNorm2d):
                    nn.init.normal_(module.running_mean, std=0.1)
                    nn.init.uniform_(module.running_var, 0.5, 2.0)
                    module.weight.data *= self.loud
        return ladder.eval()


def training(**changes: Any) -> TinyTraining:
    """Return four frames of two videos, masks as large as the images."""
    given = {"handle": LadderHandle(), "image_size": SIZE, "mask_size": SIZE, **changes}
    return TinyTraining(**given)


@dataclass
class Notes(Quiet):
    """Progress that keeps what it is told."""

    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)


@dataclass
class Logged:
    """A context's log: values by name, in order."""

    rows: list[tuple[str, float, int]] = field(default_factory=list)

    def __call__(self, name: str, value: float, step: int) -> None:
        self.rows.append((name, value, step))

    def of(self, name: str) -> list[float]:
        return [value for one, value, _ in self.rows if one == name]


def context(folder: Path, **changes: Any) -> FitContext:
    """Return a context on the CPU with a log that can be read back."""
    given: dict[str, Any] = {"workdir": folder, "log": Logged(), "progress": Notes(), **changes}
    return FitContext(**given)


def stopping(after: int, error: BaseException) -> Callable[[], None]:
    """Return a ``stop`` that raises at the call after so many."""
    calls = iter(range(after))

    def stop() -> None:
        if next(calls, None) is None:
            raise error

    return stop
