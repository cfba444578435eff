"""The judge of all solvers: one objective, on points made by other code than theirs.

Hypercolumns are made by ``torch.nn.functional.interpolate`` and standardised in float64; objective,
gradient and the reference optimum (Newton's method with a certificate) use nothing of vidseg's
solvers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate

from vidseg.experiment.training import TrainingFrames
from vidseg.extractors.torchvision import Torchvision

Floats = npt.NDArray[np.float64]
BLOCK = 16384


@dataclass
class Judge:
    """All labelled pixels of a training set.

    Attributes:
        points: ``float32 (n, C + 1)``, standardised, the last column 1.
        labels: ``float64 (n,)``, +1 and -1.
    """

    points: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def of(cls, train: TrainingFrames, handle: Torchvision) -> Judge:
        """Materialise and standardise the pixels of ``train``."""
        size = tuple(train.mask_size)
        frames, labels = [], []
        for ref in train.refs:
            levels = [torch.from_numpy(f.copy()).float()[None] for f in train.features(ref)]
            columns = [
                interpolate(f, size, mode="bilinear", align_corners=False, antialias=True)
                for f in levels
            ]
            frames.append(torch.cat(columns, dim=1)[0].flatten(1).T)
            labels.append(torch.from_numpy(train.mask(ref).copy()).flatten())
        x, y = torch.cat(frames), torch.cat(labels).double()
        mean, scale = transform(x, handle.channels)
        x = ((x - mean.float()) * scale.float())[y != 0]
        return cls(torch.cat([x, torch.ones(len(x), 1)], dim=1), y[y != 0])

    def objective(self, point: Floats, cost: float, loss: str) -> float:
        """Return the objective at weights with the bias last, in float64."""
        w = torch.from_numpy(point).double()
        slack = (1 - self.labels * self.scores(w)).clamp_(min=0)
        total = (slack**2).sum() if loss == "squared_hinge" else slack.sum()
        return float(0.5 * w @ w + cost * total)

    def scores(self, w: torch.Tensor) -> torch.Tensor:
        """Return ``float64 (n,)``."""
        return torch.cat([block.double() @ w for block in split(self.points)])

    def optimum(self, start: Floats, cost: float, accuracy: float) -> tuple[Floats, float]:
        """Return the squared-hinge optimum and a bound of its relative gap.

        Newton's method with an exact line search; ``f - f* <= ||g||^2 / 2``, for the objective is
        strongly convex with constant 1.
        """
        w = torch.from_numpy(start).double()
        for _ in range(50):
            scores = self.scores(w)
            slack = (1 - self.labels * scores).clamp(min=0)
            value = float(0.5 * w @ w + cost * (slack**2).sum())
            gradient, hessian = self._derivatives(w, slack, cost)
            bound = float(gradient @ gradient) / 2 / value
            if bound <= accuracy:
                break
            step = -torch.linalg.solve(hessian, gradient)
            w = w + self._best(w, step, scores, cost) * step
        return w.numpy(), bound

    def _derivatives(
        self, w: torch.Tensor, slack: torch.Tensor, cost: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        gradient = w.clone()
        hessian = torch.eye(len(w), dtype=torch.float64)
        blocks = (split(self.points), split(self.labels), split(slack))
        for x, y, s in zip(*blocks, strict=True):
            active = s > 0
            chosen = x[active]
            gradient -= 2 * cost * (chosen.double().T @ (y * s)[active])
            hessian += (2 * cost) * (chosen.T @ chosen).double()
        return gradient, hessian

    def _best(
        self, w: torch.Tensor, step: torch.Tensor, scores: torch.Tensor, cost: float
    ) -> float:
        """Return the step length at which the slope along ``step`` vanishes, by bisection."""
        change = self.scores(step)
        low, high = 0.0, 2.0
        for _ in range(40):
            t = (low + high) / 2
            slack = (1 - self.labels * (scores + t * change)).clamp(min=0)
            slope = (w + t * step) @ step - 2 * cost * (slack * self.labels * change).sum()
            low, high = (t, high) if slope < 0 else (low, t)
        return (low + high) / 2


def transform(x: torch.Tensor, channels: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and 1 / sigma of each column; sigma at least a tenth of its level's median."""
    mean = torch.stack([part.double().mean(0) for part in split(x)])
    share = torch.tensor([len(part) / len(x) for part in split(x)], dtype=torch.float64)
    mean = share @ mean
    square = sum(((part.double() - mean) ** 2).sum(0) for part in split(x))
    sigma = (torch.as_tensor(square) / len(x)).sqrt()
    scale = []
    for s, m in zip(split(sigma, channels), split(mean, channels), strict=True):
        live = s > 1e-6 * m.abs()
        # numpy's median: the mean of the two in the middle
        floor = 0.1 * float(np.median(s[live].numpy())) if live.any() else 1.0
        scale.append(torch.where(live, 1 / s.clamp(min=floor), torch.zeros_like(s)))
    return mean, torch.cat(scale)


def split(x: torch.Tensor, sizes: int | tuple[int, ...] = BLOCK) -> tuple[torch.Tensor, ...]:
    """Return ``x`` in parts of ``sizes`` rows."""
    parts: tuple[torch.Tensor, ...] = torch.split(x, sizes if isinstance(sizes, int) else [*sizes])
    return parts
