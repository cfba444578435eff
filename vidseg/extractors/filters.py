"""Colours, Gaussian derivatives and local texture at octave scales: no weights needed."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from vidseg.errors import UsageError
from vidseg.extractors.backbone import digest
from vidseg.types import Size

VERSION = 1
"""Part of the fingerprint: change it when the bank computes something else."""

SIGMAS = (1.0, 1.6)
FIRST, SECOND = 2, 4  # orientations of the first and second derivatives
CHANNELS = 8 + len(SIGMAS) * (3 + FIRST + SECOND + 2) + 7
_POOLED = 9
_SMALLEST = 4


class Filters:
    """A fixed bank of colour and Gaussian-derivative filters on an image pyramid.

    Each level holds, of the image at its stride: R, G, B, L*, a*, b*, red and green chromaticity;
    at sigma 1 and 1.6 pixels the gradient magnitude of L*, a*, b*, the rectified first (two
    orientations) and second (four) derivatives of L* and both signs of its Laplacian; in a 9x9
    window the mean and deviation of L*, a*, b* and the mean gradient. 37 channels.

    Args:
        octaves: number of levels, at strides 1, 2, 4, ...
    """

    contract: ClassVar[int] = 1

    def __init__(self, octaves: Annotated[int, Field(ge=1, le=6)] = 4) -> None:
        self.octaves = octaves

    @property
    def fingerprint(self) -> str:
        """Hash of the bank's version and its levels."""
        return digest({"library": "filters", "version": VERSION, "octaves": self.octaves})

    @property
    def levels(self) -> tuple[str, ...]:
        """``stride1``, ``stride2``, ..."""
        return tuple(f"stride{stride}" for stride in self.strides)

    @property
    def channels(self) -> tuple[int, ...]:
        """The same number for each level."""
        return (CHANNELS,) * self.octaves

    @property
    def strides(self) -> tuple[int, ...]:
        """1, 2, 4, ..."""
        return tuple(2**octave for octave in range(self.octaves))

    def sizes(self, size: Size) -> tuple[Size, ...]:
        """Return the size of each level: halves, rounded down.

        Raises:
            UsageError: the coarsest level would be smaller than 4 pixels.
        """
        sizes = tuple(Size(size.height // s, size.width // s) for s in self.strides)
        if min(sizes[-1]) < _SMALLEST:
            smallest = _SMALLEST * self.strides[-1]
            works = Size(max(size.height, smallest), max(size.width, smallest))
            raise UsageError(
                f"filters with {self.octaves} octaves cannot take images of {size}",
                where="image_size",
                hint=f"{works} works, or fewer octaves",
            )
        return sizes

    def build(self) -> nn.Module:
        """Return the bank as a module without parameters."""
        return FilterBank(self.octaves).eval()

    def weights_info(self) -> dict[str, str]:
        """Return nothing: there are no weights."""
        return {}


class FilterBank(nn.Module):
    """Computes the levels of :class:`Filters` from ``float32 (N, 3, H, W)`` in 0..1."""

    kernels: torch.Tensor
    colour_kernels: torch.Tensor
    xyz: torch.Tensor

    def __init__(self, octaves: int) -> None:
        super().__init__()
        self.octaves = octaves
        bank = [_gaussian_derivatives(sigma) for sigma in SIGMAS]
        self.register_buffer("kernels", torch.cat([_oriented(k) for k in bank])[:, None])
        gradients = torch.cat([k[:2] for k in bank])[:, None]
        self.register_buffer("colour_kernels", gradients.repeat(2, 1, 1, 1))
        self.register_buffer("xyz", torch.tensor(_RGB_TO_XYZ))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the levels, fine to coarse, ``float32 (N, CHANNELS, H // s, W // s)`` each."""
        levels = []
        for octave in range(self.octaves):
            if octave:
                images = F.avg_pool2d(images, 2)
            levels.append(self._level(images))
        return levels

    def _level(self, rgb: torch.Tensor) -> torch.Tensor:
        lab = self._lab(rgb)
        light = rgb.clamp_min(0)  # noise that was not clipped goes below 0
        chromaticity = light[:, :2] / (light.sum(1, keepdim=True) + 0.05) * 3 - 1
        derivatives, gradients = self._derivatives(lab)
        # The finest gradient of L* is the texture whose local mean separates cloth from road.
        local = _local_statistics(lab, gradients[:, :1])
        return torch.cat([rgb * 2 - 1, lab, chromaticity, gradients, derivatives, local], 1)

    def _lab(self, rgb: torch.Tensor) -> torch.Tensor:
        """CIE 1976 L*a*b* of sRGB under D65, each divided by 50; L* also centred."""
        linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        xyz = torch.einsum("ij,njhw->nihw", self.xyz, linear)
        f = torch.where(xyz > 216 / 24389, xyz.clamp_min(1e-4) ** (1 / 3), xyz * 841 / 108 + 4 / 29)
        x, y, z = f[:, 0], f[:, 1], f[:, 2]
        return torch.stack([(116 * y - 66) / 50, 10 * (x - y), 4 * (y - z)], 1)

    def _derivatives(self, lab: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        radius = self.kernels.shape[-1] // 2
        padded = F.pad(lab, (radius,) * 4, mode="replicate")
        light = F.conv2d(padded[:, :1], self.kernels)
        light = light.view(len(light), len(SIGMAS), FIRST + SECOND, *light.shape[2:])
        first, second = light[:, :, :FIRST], light[:, :, FIRST:]
        laplacian = second[:, :, 0] + second[:, :, SECOND // 2]
        colours = F.conv2d(padded[:, 1:], self.colour_kernels, groups=2)
        gradients = torch.cat(
            [
                torch.hypot(first[:, :, 0], first[:, :, 1]),
                torch.hypot(colours[:, ::2], colours[:, 1::2]),
            ],
            1,
        )
        rectified = torch.cat([light.abs().flatten(1, 2), laplacian.relu(), (-laplacian).relu()], 1)
        return rectified, gradients


def _local_statistics(lab: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Mean and deviation of L*a*b*, and mean gradient, in a 9x9 window inside the image."""
    stacked = torch.cat([lab, lab.square(), gradient], 1)
    means = _window_mean(_window_mean(stacked, (_POOLED, 1)), (1, _POOLED))
    mean, square, energy = means[:, :3], means[:, 3:6], means[:, 6:]
    deviation = (square - mean.square()).clamp_min(0).sqrt()
    return torch.cat([mean, deviation, energy], 1)


def _window_mean(images: torch.Tensor, window: tuple[int, int]) -> torch.Tensor:
    padding = window[0] // 2, window[1] // 2
    return F.avg_pool2d(images, window, 1, padding, count_include_pad=False)


def _gaussian_derivatives(sigma: float) -> torch.Tensor:
    """Return x, y, xx, xy, yy derivatives of a Gaussian, scaled by sigma per order: (5, k, k).

    Normalised by scale as in Lindeberg (1998), so that edges weigh the same at every sigma.
    """
    radius = math.ceil(3 * max(SIGMAS))
    t = torch.arange(-radius, radius + 1, dtype=torch.float64)
    g = torch.exp(-(t**2) / (2 * sigma**2))
    g = g / g.sum()
    # Correlation, not convolution: the first derivative is the mirrored one.
    first, second = t / sigma**2 * g, (t**2 / sigma**4 - 1 / sigma**2) * g
    second = second - g * second.sum()
    rows = [(g, first), (first, g), (g, second), (first, first), (second, g)]
    orders = (1, 1, 2, 2, 2)
    kernels = [sigma**n * torch.outer(y, x) for n, (y, x) in zip(orders, rows, strict=True)]
    return torch.stack(kernels).float()


def _oriented(kernels: torch.Tensor) -> torch.Tensor:
    """Steer five derivatives to all orientations, first derivatives first: (2 + 4, k, k).

    Freeman and Adelson (1991): derivatives of a Gaussian in any direction are linear
    combinations of a basis.
    """
    x, y, xx, xy, yy = kernels
    first = [c * x + s * y for c, s in _directions(FIRST)]
    second = [c * c * xx + 2 * c * s * xy + s * s * yy for c, s in _directions(SECOND)]
    return torch.stack(first + second)


def _directions(count: int) -> list[tuple[float, float]]:
    return [(math.cos(math.pi * k / count), math.sin(math.pi * k / count)) for k in range(count)]


_RGB_TO_XYZ = (
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)
"""Linear sRGB -> XYZ relative to the D65 white (IEC 61966-2-1)."""
