"""Painted scenery for generated videos: a place, its texture, its clutter, its light."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vidseg.datasets._synthetic.figures import hsv
from vidseg.types import Image, Size

Floats = npt.NDArray[np.float32]

MARGIN = 0.14
"""The picture is larger than the frame by this share of the width on every side."""


@dataclass(frozen=True)
class Backdrop:
    """One place.

    Attributes:
        picture: ``uint8 (H, W, 3)`` RGB, with a margin all round for the camera to move.
        horizon: height of the horizon in the frame, 0 top, 1 bottom.
        light: ``float32 (6, 10)``, slow changes of brightness across the frame.
    """

    picture: Image
    horizon: float
    light: Floats


def paint(rng: np.random.Generator, size: Size) -> Backdrop:
    """Paint a place at random for frames of ``size``; the same place at every size."""
    margin = margin_of(size)
    height, width = size.height + 2 * margin, size.width + 2 * margin
    horizon = float(rng.uniform(0.3, 0.5))
    level = margin + int(horizon * size.height)
    canvas = np.empty((height, width, 3), np.float32)
    _wall(canvas[:level], rng)
    _ground(canvas[level:], rng)
    for away in np.sort(rng.uniform(0.0, 0.5, int(rng.integers(3, 8)))):
        _thing(canvas, rng, level, float(away))
    grain = fractal(rng, Size(height, width), cells=9, octaves=4)
    canvas *= (1.0 + float(rng.uniform(0.06, 0.14)) * grain)[..., None]
    picture = np.clip(canvas, 0, 255).astype(np.uint8)
    return Backdrop(picture, horizon, rng.standard_normal((6, 10)).astype(np.float32))


def margin_of(size: Size) -> int:
    """Return the margin in pixels that :func:`paint` leaves on every side."""
    return int(np.ceil(MARGIN * size.width))


def fractal(rng: np.random.Generator, size: Size, *, cells: int, octaves: int) -> Floats:
    """Return smooth noise of several scales, about +-1, ``float32 (height, width)``."""
    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        count = cells * 2**octave
        grid = rng.standard_normal((count, count)).astype(np.float32)
        wide = cv2.resize(grid, (size.width, size.height), interpolation=cv2.INTER_CUBIC)
        total += wide * 0.75**octave
    return np.asarray(total * 0.75, np.float32)


def _wall(canvas: Floats, rng: np.random.Generator) -> None:
    """Facades side by side, each with its own colour and pattern."""
    height, width = canvas.shape[:2]
    edges = np.sort(rng.random(int(rng.integers(2, 5))))
    cuts = [0, *np.rint(edges * width).astype(int).tolist(), width]
    for left, right in itertools.pairwise(cuts):
        block = canvas[:, left:right]
        shade = np.linspace(1.05, 0.9, height, dtype=np.float32)[:, None, None]
        block[:] = _muted(rng) * shade
        kind = rng.choice(["plain", "windows", "bricks", "leaves", "panels"])
        pitch = float(rng.uniform(0.05, 0.12)) * width
        dark = float(rng.uniform(0.5, 0.85))
        if block.size:
            _pattern(block, str(kind), pitch, dark, rng)


def _pattern(block: Floats, kind: str, pitch: float, dark: float, rng: np.random.Generator) -> None:
    height, width = block.shape[:2]
    y = np.arange(height, dtype=np.float32)[:, None] / np.float32(pitch)
    x = np.arange(width, dtype=np.float32)[None, :] / np.float32(pitch)
    if kind == "windows":
        pane = (_part(x) < 0.55) & (_part(y / 1.3) < 0.6)
        block *= np.where(pane, np.float32(dark), np.float32(1.0))[..., None]
    elif kind == "bricks":
        shift = np.asarray(np.floor(y * 4) / 2, np.float32)
        joint = (_part(y * 4) < 0.2) | (_part(x * 2 + shift) < 0.1)
        block *= np.where(joint, np.float32(0.5 + 0.5 * dark), np.float32(1.0))[..., None]
    elif kind == "panels":
        stripe = np.where(_part(x) < 0.5, 1.0, 0.4 + 0.6 * dark)
        block *= stripe.astype(np.float32)[..., None]
    elif kind == "leaves":
        green = hsv(rng.uniform(0.2, 0.38), 0.45, 0.45).astype(np.float32)
        leaves = fractal(rng, Size(height, width), cells=14, octaves=3)
        block[:] = green * (1.0 + 0.35 * leaves)[..., None]


def _part(values: Floats) -> Floats:
    """Return what is left of each value above the next lower whole number."""
    return np.asarray(values - np.floor(values), np.float32)


def _ground(canvas: Floats, rng: np.random.Generator) -> None:
    """A floor whose texture and joints shrink with distance."""
    height, width = canvas.shape[:2]
    y = np.linspace(0.19, 1.15, height, dtype=np.float32)[:, None]
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    tile = fractal(rng, Size(128, 128), cells=16, octaves=3)
    across = np.asarray(x * (32.0 / y) + rng.uniform(0, 128), np.float32)
    away = np.asarray(20.0 / y, np.float32)
    along = np.broadcast_to(away, across.shape)
    spots = cv2.remap(tile, across, along, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    shade = (0.87 + 0.2 * y) * (1.0 + float(rng.uniform(0.03, 0.12)) * spots)
    if rng.random() < 0.6:
        joint = (_part(across / np.float32(16)) < 0.06) | (_part(away / np.float32(12)) < 0.07)
        shade *= np.where(joint, np.float32(rng.uniform(0.7, 0.9)), np.float32(1.0))
    canvas[:] = _muted(rng) * shade[..., None]


def _thing(canvas: Floats, rng: np.random.Generator, level: int, away: float) -> None:
    """Clutter that is no figure: posts, trunks, bins, cars, bushes; upright and coloured too."""
    height, width = canvas.shape[:2]
    foot = level + away * (height - level)
    x = float(rng.uniform(0, width))
    near = 0.35 + 0.65 * away
    colour = hsv(rng.random(), rng.uniform(0.1, 0.75), rng.uniform(0.2, 0.9)).tolist()
    kind = rng.choice(["post", "trunk", "box", "car", "bush"])
    tall = {"post": 0.9, "trunk": 0.8, "box": 0.2, "car": 0.24, "bush": 0.3}[str(kind)]
    wide = {"post": 0.012, "trunk": 0.04, "box": 0.07, "car": 0.26, "bush": 0.14}[str(kind)]
    tall, wide = tall * near * height * 0.6, max(1.0, wide * near * width * 0.6)
    if kind == "trunk":
        colour = hsv(rng.uniform(0.05, 0.1), 0.35, rng.uniform(0.25, 0.5)).tolist()
    if kind == "bush":
        colour = hsv(rng.uniform(0.2, 0.4), 0.5, rng.uniform(0.3, 0.6)).tolist()
        centre = _sub(x), _sub(foot - tall / 2)
        cv2.ellipse(canvas, centre, (_sub(wide), _sub(tall / 2)), 0, 0, 360, colour, -1, 16, 4)
        return
    _bar(canvas, x, foot, wide, tall, colour)
    if kind == "car":
        glass = [channel * 0.35 for channel in colour]
        _bar(canvas, x, foot - tall * 0.55, wide * 0.6, tall * 0.35, glass)
        for side in (-0.55, 0.55):
            wheel = _sub(x + side * wide), _sub(foot)
            cv2.circle(canvas, wheel, _sub(tall * 0.2), (25, 25, 28), -1, 16, 4)


def _bar(
    canvas: Floats, x: float, foot: float, wide: float, tall: float, colour: list[float]
) -> None:
    """An upright, rounded by its shading: light on the left, dark on the right."""
    slices = 5
    for index in range(slices):
        left = x - wide + 2 * wide * index / slices
        shade = 1.1 - 0.5 * index / slices
        corners = [(left, foot - tall), (left + 2 * wide / slices, foot - tall)]
        corners += [(left + 2 * wide / slices, foot), (left, foot)]
        outline = np.rint(np.array(corners) * 16).astype(np.int32)
        cv2.fillConvexPoly(canvas, outline, [c * shade for c in colour], 16, 4)


def _sub(value: float) -> int:
    return round(value * 16)


def _muted(rng: np.random.Generator) -> Floats:
    return hsv(rng.random(), rng.uniform(0.04, 0.35), rng.uniform(0.4, 0.85)).astype(np.float32)
