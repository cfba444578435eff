"""Articulated, textured, human-like figures for generated videos.

A figure is a small 3-D skeleton (hips, knees, ankles, shoulders, elbows, wrists) that walks, seen
in orthographic projection from its heading, drawn as tapered capsules with shading and fabric.
Lengths are in body heights, angles in radians, times in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vidseg.types import Size

Floats = npt.NDArray[np.float32]

SKIN, HAIR, TOP, TROUSERS, SHOES = range(1, 6)
_SUPERSAMPLE = 2
_TILE = 96
_ARC = np.linspace(0.0, np.pi, 7)


class Sprite(NamedTuple):
    """One drawn figure, before it is put into a frame.

    Attributes:
        identity: which figure it is.
        left, top: whole-pixel position of the patch in the frame (may be outside).
        colour: ``float32 (h, w, 3)`` RGB, 0..255.
        cover: ``float32 (h, w)``, share of each pixel that the figure covers.
    """

    identity: int
    left: int
    top: int
    colour: Floats
    cover: Floats


@dataclass(frozen=True, eq=False)
class Look:
    """What one person looks like.

    Attributes:
        wide: girth, 1 is slim.
        palette: ``float32 (6, 3)`` RGB by material; row 0 is unused.
        fabric: pattern of top (channel 0) and trousers (channel 1): ``float32 (tile, tile, 2)``,
            about +-1.
    """

    wide: float
    palette: Floats
    fabric: Floats


@dataclass(frozen=True)
class Walk:
    """How somebody moves through the scene.

    Attributes:
        tall: height relative to the scene's standard person.
        speed: body heights per second along the heading; 0 stands.
        heading: angle between the walking direction and the image plane; 0 walks to the right.
        start, depth, drift: across in 0..1, near in 0..1, change of near per second.
        phase: of the gait.
    """

    tall: float
    speed: float
    heading: float
    start: float
    depth: float
    drift: float
    phase: float


def make_walk(rng: np.random.Generator) -> Walk:
    """Draw a way of walking, or of standing, at random."""
    walks = rng.random() < 0.85
    turn = rng.normal(0.0, 0.5)
    return Walk(
        tall=float(rng.uniform(0.88, 1.1)),
        speed=float(rng.uniform(0.5, 0.95)) if walks else 0.0,
        heading=float(turn if rng.random() < 0.5 else np.pi - turn),
        start=float(rng.random()),
        depth=float(rng.random()),
        drift=float(rng.uniform(-0.12, 0.12)) if walks else 0.0,
        phase=float(rng.uniform(0, 2 * np.pi)),
    )


def make_look(rng: np.random.Generator) -> Look:
    """Draw build and clothes at random."""
    fabric = np.dstack([_cloth(rng, bold=True), _cloth(rng, bold=False)])
    return Look(float(rng.uniform(0.95, 1.3)), _clothes(rng), fabric)


def draw_figure(
    look: Look,
    walk: Walk,
    time: float,
    foot: tuple[float, float],
    height: float,
    *,
    identity: int = 0,
) -> Sprite:
    """Draw a person in the pose of ``time``.

    Args:
        look: who.
        walk: how they move.
        time: seconds; sets the phase of the gait.
        foot: x, y in frame pixels of the point on the ground between the feet.
        height: of the standing body in frame pixels.
        identity: kept in the sprite.
    """
    bones, radii, materials = _pose(walk, look.wide, time)
    scale = height * _SUPERSAMPLE
    reach = (bones + radii[..., None]).max((0, 1)), (bones - radii[..., None]).min((0, 1))
    left, top = (int(np.floor(foot[i] + reach[1][i] * height)) - 1 for i in (0, 1))
    right, bottom = (int(np.ceil(foot[i] + reach[0][i] * height)) + 1 for i in (0, 1))
    size = Size(bottom - top, right - left)
    origin = (np.array(foot) - (left, top)) * _SUPERSAMPLE
    canvas = _Canvas.blank(Size(size.height * _SUPERSAMPLE, size.width * _SUPERSAMPLE))
    canvas.draw(bones * scale + origin, radii * scale, materials)
    colour, cover = _develop(canvas, look, origin, scale)
    return Sprite(identity, left, top, colour, cover)


class _Canvas(NamedTuple):
    """Supersampled layers: which material, and how brightly lit."""

    material: npt.NDArray[np.uint8]
    light: npt.NDArray[np.uint8]

    @classmethod
    def blank(cls, size: Size) -> _Canvas:
        return cls(np.zeros(size, np.uint8), np.zeros(size, np.uint8))

    def draw(
        self,
        bones: npt.NDArray[np.float64],
        radii: npt.NDArray[np.float64],
        materials: Sequence[int],
    ) -> None:
        """Draw ``(n, 2, 2)`` bones in order; each is lit from above left."""
        shares = np.array(_SHARES)[:, None, None]
        lit = bones[:, None] - (1.0 - shares) * 0.35 * radii[:, None, :, None]
        outlines = _capsules(lit, radii[:, None] * shares[..., 0])
        for nested, material in zip(outlines, materials, strict=True):
            cv2.fillConvexPoly(self.material, nested[0], material, cv2.LINE_8, 4)
            for outline, light in zip(nested, _LIGHTS, strict=True):
                cv2.fillConvexPoly(self.light, outline, light, cv2.LINE_8, 4)


_SHARES = (1.0, 0.72, 0.4)
_LIGHTS = (120, 190, 250)


def _capsules(
    bones: npt.NDArray[np.float64], radii: npt.NDArray[np.float64]
) -> npt.NDArray[np.int32]:
    """Outline two discs and what lies between: ``(..., 2, 2)`` to ``(..., 14, 2)``, 1/16 pixels."""
    along = bones[..., 1, :] - bones[..., 0, :]
    turn = np.arctan2(along[..., 1], along[..., 0]) + np.pi / 2
    angles = turn[..., None, None] + np.stack([_ARC, _ARC + np.pi])
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    points = bones[..., :, None, :] + radii[..., :, None, None] * circle
    return np.asarray(np.rint(points * 16), np.int32).reshape(*points.shape[:-3], -1, 2)


def _develop(
    canvas: _Canvas,
    look: Look,
    origin: npt.NDArray[np.float64],
    scale: float,
) -> tuple[Floats, Floats]:
    shape = canvas.material.shape
    material = canvas.material
    blur = max(1, round(scale * 0.012)) * 2 + 1
    light = cv2.blur(canvas.light, (blur, blur)).astype(np.float32) / 255.0
    zoom = scale / _TILE
    warp = np.array([[zoom, 0.0, origin[0]], [0.0, zoom, origin[1]]])
    pattern = cv2.warpAffine(look.fabric, warp, shape[::-1], borderMode=cv2.BORDER_WRAP)
    strength = _STRENGTH[material]
    worn = np.where(material == TOP, pattern[..., 0], pattern[..., 1]) * strength
    colour = look.palette[material] * ((0.35 + 0.75 * light) * (1.0 + worn))[..., None]
    cover = (material > 0).astype(np.float32)
    small = (shape[1] // _SUPERSAMPLE, shape[0] // _SUPERSAMPLE)
    weighted = cv2.resize(colour * cover[..., None], small, interpolation=cv2.INTER_AREA)
    cover = cv2.resize(cover, small, interpolation=cv2.INTER_AREA)
    return weighted / np.maximum(cover, 1e-6)[..., None], cover


_STRENGTH = np.array([0.0, 0.05, 0.25, 0.5, 0.3, 0.1], np.float32)


def _pose(
    walk: Walk, wide: float, time: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], list[int]]:
    """Return bones ``(n, 2, 2)`` x right, y down from the ground, radii ``(n, 2)``, materials.

    The far limbs come first, so that drawing in order hides what is hidden.
    """
    gait = walk.phase + 2 * np.pi * 0.95 * time * (0.6 + 0.5 * walk.speed)
    swing = 0.55 * min(1.0, walk.speed / 0.7) if walk.speed else 0.04
    legs = [_leg(gait, swing, side) for side in (-1, 1)]
    arms = [_arm(gait, swing, side) for side in (-1, 1)]
    w = wide
    near = 1 if np.sin(walk.heading) <= 0 else 0
    bones: list[_Bone] = []
    for side in (1 - near, near):
        if side == near:
            bones += _torso_and_head(w)
        hip, knee, ankle = legs[side]
        toe = (ankle[0] + 0.085, ankle[1], ankle[2] - 0.012)
        bones += [
            (ankle, toe, 0.026, 0.022, SHOES),
            (knee, ankle, 0.048 * w, 0.032 * w, TROUSERS),
            (hip, knee, 0.068 * w, 0.05 * w, TROUSERS),
        ]
        shoulder, elbow, wrist = arms[side]
        bones += [
            (wrist, (wrist[0] + 0.01, wrist[1], wrist[2] - 0.03), 0.024, 0.022, SKIN),
            (elbow, wrist, 0.031 * w, 0.024 * w, TOP),
            (shoulder, elbow, 0.04 * w, 0.033 * w, TOP),
        ]
    points = np.array([bone[:2] for bone in bones])
    return (
        _project(points, walk.heading),
        np.array([bone[2:4] for bone in bones]),
        [bone[4] for bone in bones],
    )


_Point = tuple[float, float, float]
_Bone = tuple[_Point, _Point, float, float, int]
"""Its two ends, the radius at each, and the material."""


def _torso_and_head(w: float) -> list[_Bone]:
    return [
        ((0.0, 0, 0.56), (0.02, 0, 0.76), 0.082 * w, 0.088 * w, TOP),
        ((0.02, -0.075, 0.765), (0.02, 0.075, 0.765), 0.055 * w, 0.055 * w, TOP),
        ((0.0, -0.03, 0.51), (0.0, 0.03, 0.51), 0.075 * w, 0.075 * w, TROUSERS),
        ((0.02, 0, 0.80), (0.03, 0, 0.87), 0.035, 0.035, SKIN),
        ((0.025, 0, 0.945), (0.03, 0, 0.93), 0.062, 0.06, HAIR),
        ((0.05, 0, 0.915), (0.045, 0, 0.885), 0.05, 0.042, SKIN),
    ]


def _leg(gait: float, swing: float, side: int) -> list[_Point]:
    """Hip, knee, ankle as (forward, left, up)."""
    angle = swing * np.sin(gait + (np.pi if side > 0 else 0.0))
    bend = 1.5 * swing * max(0.0, np.cos(gait + (np.pi if side > 0 else 0.0) + 0.4)) + 0.06
    hip = (0.0, 0.05 * side, 0.5)
    knee = (hip[0] + 0.235 * np.sin(angle), hip[1], hip[2] - 0.235 * np.cos(angle))
    shin = angle - bend
    ankle = (knee[0] + 0.235 * np.sin(shin), hip[1], knee[2] - 0.235 * np.cos(shin))
    return [hip, knee, ankle]


def _arm(gait: float, swing: float, side: int) -> list[_Point]:
    """Shoulder, elbow, wrist as (forward, left, up); arms swing against the legs."""
    angle = -0.8 * swing * np.sin(gait + (np.pi if side > 0 else 0.0))
    shoulder = (0.02, 0.125 * side, 0.775)
    elbow = (
        shoulder[0] + 0.17 * np.sin(angle),
        shoulder[1] + 0.015 * side,
        shoulder[2] - 0.17 * np.cos(angle),
    )
    fore = angle + 0.25 + 0.5 * swing
    wrist = (elbow[0] + 0.15 * np.sin(fore), elbow[1], elbow[2] - 0.15 * np.cos(fore))
    return [shoulder, elbow, wrist]


def _project(points: npt.NDArray[np.float64], heading: float) -> npt.NDArray[np.float64]:
    """Turn (forward, left, up) by the heading; the lower foot stays on the ground."""
    drop = 0.022 - points[..., 2].min()
    across = points[..., 0] * np.cos(heading) + points[..., 1] * np.sin(heading)
    return np.stack([across, -(points[..., 2] + drop)], axis=-1)


def _clothes(rng: np.random.Generator) -> Floats:
    """Palette by material: skin and hair of people, saturated tops, darker trousers."""
    skin = np.array([232, 190, 160]) * rng.uniform(0.4, 1.0) + (6, 0, -4)
    hair = np.array([70, 50, 38]) * rng.uniform(0.3, 1.6)
    top = hsv(rng.random(), rng.uniform(0.3, 0.9), rng.uniform(0.25, 0.95))
    blue = rng.random() < 0.5
    trousers = hsv(
        rng.normal(0.61, 0.03) if blue else rng.random(),
        rng.uniform(0.25, 0.6) if blue else rng.uniform(0.0, 0.35),
        rng.uniform(0.15, 0.55),
    )
    shoes = hsv(rng.random(), 0.2, rng.choice([0.12, 0.2, 0.85]))
    return np.clip(np.stack([np.zeros(3), skin, hair, top, trousers, shoes]), 0, 255).astype(
        np.float32
    )


def _cloth(rng: np.random.Generator, *, bold: bool) -> Floats:
    """A tileable pattern about +-1: a weave, and for bold cloth stripes, checks or dots."""
    u, v = np.meshgrid(np.arange(_TILE), np.arange(_TILE))
    weave = rng.standard_normal((_TILE, _TILE)) * 0.8
    cloth = cv2.GaussianBlur(weave, (0, 0), 0.8, borderType=cv2.BORDER_REFLECT)
    kind = rng.choice(["plain", "rings", "stripes", "checks"]) if bold else "plain"
    period = float(_TILE / rng.integers(9, 18))
    if kind in ("rings", "checks"):
        cloth = cloth + np.sign(np.sin(2 * np.pi * v / period)) * 0.8
    if kind in ("stripes", "checks"):
        cloth = cloth + np.sign(np.sin(2 * np.pi * u / period)) * 0.8
    return np.asarray(cloth, np.float32)


def hsv(hue: float, saturation: float, value: float) -> npt.NDArray[np.float64]:
    """Return RGB 0..255 of hue (turns, wraps), saturation and value (0..1)."""
    k = (np.array([5.0, 3.0, 1.0]) + 6.0 * hue) % 6.0
    ramp = np.clip(np.minimum(k, 4.0 - k), 0.0, 1.0)
    return 255.0 * value * (1.0 - saturation * ramp)
