"""Generated videos of walking figures, with exact masks and boxes; nothing to download."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vidseg.datasets.base import MaskLabels, check_source, no_boxes
from vidseg.errors import DataError
from vidseg.types import Image, Mask, Size, VideoInfo

if TYPE_CHECKING:
    from vidseg.datasets._synthetic.backdrop import Backdrop
    from vidseg.datasets._synthetic.figures import Look, Sprite, Walk

GENERATOR = 1
"""Raised with every change that alters a pixel: it is part of the content keys."""

EVERY = r"^(all|every:[1-9]\d{0,5})$"
FPS = 12.5
_NOISE, _CUTS, _SCENE = 1, 2, 3


class Synthetic:
    """Articulated, textured figures that walk before a textured background.

    Every video is a place of its own with people of its own: background, colours, cloth, light and
    gait differ, the build of a figure does not. The camera pans, the light changes, the sensor is
    noisy. A frame depends on (seed, video, frame) alone, so any frame is rendered by itself.

    Args:
        videos: number of videos; each is a group.
        frames: frames of each video.
        size: WIDTHxHEIGHT of the frames.
        motion: how much neighbouring frames differ. 0: one still picture, only the noise is fresh.
            Up to 1, the pace of time: 0.5 is slow motion, 1 is normal video at 12.5 frames/s.
            Above 1 time runs faster still, and every frame is, with probability ``motion - 1``, the
            first of an independent scene (other place, other people): at 2 all frames are. Cuts of
            a lower value are among those of a higher one.
        figures: number of figures in a scene.
        noise: standard deviation of the sensor noise, in levels of 0..255.
        seed: another seed gives other videos.
        labelled: all frames have labels, or every:N, every N-th from the first on; the others
            look the same and have none.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        videos: Annotated[int, Field(ge=1, le=100_000)] = 6,
        frames: Annotated[int, Field(ge=1, le=1_000_000)] = 60,
        size: str = "320x180",
        motion: Annotated[float, Field(ge=0, le=2)] = 1.0,
        figures: Annotated[int, Field(ge=0, le=100)] = 5,
        noise: Annotated[float, Field(ge=0, le=100)] = 3.0,
        seed: Annotated[int, Field(ge=0)] = 0,
        labelled: Annotated[str, Field(pattern=EVERY)] = "all",
    ) -> None:
        self._count = videos
        self._every = 1 if labelled == "all" else int(labelled.removeprefix("every:"))
        self._recipe = Recipe(
            seed, frames, Size.parse(size, where="synthetic size"), motion, figures, noise
        )

    @property
    def name(self) -> str:
        """Short name for tables and runs."""
        return "synthetic"

    def videos(self) -> list[SyntheticVideo]:
        """Return the videos ``syn00``, ``syn01``, ...; nothing is rendered."""
        digits = max(2, len(str(self._count - 1)))
        names = [f"syn{i:0{digits}}" for i in range(self._count)]
        return [SyntheticVideo(n, i, self._recipe, self._every) for i, n in enumerate(names)]


@dataclass(frozen=True)
class Recipe:
    """The parameters that make a video's pixels; see :class:`Synthetic`."""

    seed: int
    frames: int
    size: Size
    motion: float
    figures: int
    noise: float


@dataclass(frozen=True)
class SyntheticVideo:
    """One generated video; satisfies :class:`vidseg.types.Video`.

    Attributes:
        name: unique within the data set.
        number: of the video; with the recipe it decides every pixel.
        recipe: the parameters.
        every: distance between two labelled frames.
    """

    name: str
    number: int
    recipe: Recipe
    every: int = 1

    @property
    def group(self) -> str:
        """Every video is a scene of its own."""
        return self.name

    @property
    def image_key(self) -> str:
        """Hash of the parameters and of the generator's version; nothing is rendered."""
        return self._key("image")

    @property
    def label_key(self) -> str:
        """Hash of the parameters that decide the labels."""
        return self._key("label", *([self.every] if self.every > 1 else []))

    def probe(self) -> VideoInfo:
        """Return length and size, as asked for."""
        return VideoInfo(self.recipe.frames, self.recipe.size, FPS)

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield the frames of ``indices``, rendered one by one."""
        for index in indices:
            yield self._image(self._checked(index))

    def labelled(self) -> range:
        """Return the frames that have labels."""
        return range(0, self.recipe.frames, self.every)

    def labels(self, index: int, source: str = "truth") -> MaskLabels:
        """Return the exact mask, and the exact box of every figure that is visible.

        A mask pixel is foreground when figures cover at least half of it. A box holds the whole
        figure, hidden parts included, so it may reach over the border; origin 0.

        Raises:
            DataError: there is no such frame, or it is not labelled.
        """
        check_source(source, self.name)
        if self._checked(index) not in self.labelled():
            raise DataError(f"frame {index} is not labelled", where=self.name)
        return _draw_labels(self._sprites(index), self.recipe.size)

    @cached_property
    def _first(self) -> npt.NDArray[np.int64]:
        """For each frame, the first frame of its scene."""
        recipe = self.recipe
        draws = _rng(recipe.seed, self.number, _CUTS).random(recipe.frames)
        cuts = draws < recipe.motion - 1.0
        cuts[0] = True
        return np.maximum.accumulate(np.where(cuts, np.arange(recipe.frames), 0))

    def _key(self, kind: str, *more: int) -> str:
        facts = ("synthetic", GENERATOR, kind, self.number, *astuple(self.recipe), *more)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def _checked(self, index: int) -> int:
        if not 0 <= index < self.recipe.frames:
            raise DataError(f"has no frame {index}", where=self.name)
        return index

    def _scene(self, index: int) -> tuple[_Scene, float]:
        first = int(self._first[index])
        recipe = self.recipe
        scene = _scene(recipe.seed, self.number, first, recipe.size, recipe.figures)
        return scene, (index - first) * recipe.motion / FPS

    def _sprites(self, index: int) -> list[Sprite]:
        scene, time = self._scene(index)
        return scene.sprites(time)

    def _image(self, index: int) -> Image:
        scene, time = self._scene(index)
        picture = scene.picture(time)
        rng = _rng(self.recipe.seed, self.number, _NOISE, index)
        noise = rng.standard_normal(picture.shape, np.float32)
        noise *= self.recipe.noise
        noise += picture
        return np.clip(np.rint(noise), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class _Scene:
    """One place and its people; everything but the noise."""

    seed: tuple[int, ...]
    size: Size
    backdrop: Backdrop
    walks: tuple[Walk, ...]
    sway: npt.NDArray[np.float64]

    def sprites(self, time: float) -> list[Sprite]:
        """Return the figures that touch the frame, the farthest first."""
        from vidseg.datasets._synthetic.figures import draw_figure

        spots = sorted(self._spot(lane, time) for lane in range(len(self.walks)))
        sprites = []
        for spot in spots:
            if -spot.tall / 2 < spot.x < self.size.width + spot.tall / 2:
                look = _look((*self.seed, spot.lane, spot.lap))
                identity = spot.lane + len(self.walks) * spot.lap
                foot = (spot.x, spot.y)
                walk = self.walks[spot.lane]
                sprites.append(draw_figure(look, walk, time, foot, spot.tall, identity=identity))
        return sprites

    def picture(self, time: float) -> npt.NDArray[np.float32]:
        """Return the frame without sensor noise: ``float32 (H, W, 3)``, about 0..255."""
        import cv2

        height, width = self.size
        margin = (np.array(self.backdrop.picture.shape[1::-1]) - (width, height)) / 2
        x, y = margin + self._camera(time)
        shift = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        view = cv2.warpAffine(self.backdrop.picture, shift, (width, height), flags=flags)
        frame = np.asarray(view, np.float32)
        for sprite in self.sprites(time):
            _shadow(frame, sprite)
            _blend(frame, sprite)
        frame = cv2.GaussianBlur(frame, (3, 3), 0.55)
        frame *= self._light(time)[..., None]
        return np.asarray(frame, np.float32)

    def _camera(self, time: float) -> npt.NDArray[np.float64]:
        """Shift of the view in pixels: a slow pan and a small tremor, bounded by the margin."""
        rate, phase = self.sway[:2], self.sway[2:4]
        slow = np.array([0.095, 0.025]) * np.sin(rate * time + phase)
        fast = np.array([0.003, 0.002]) * np.sin(9.0 * rate * time + 2.0 * phase)
        return np.asarray((slow + fast) * self.size.width)

    def _light(self, time: float) -> npt.NDArray[np.float32]:
        import cv2

        drift = np.roll(self.backdrop.light, 1, axis=1) * np.sin(0.7 * time)
        field = 1.0 + 0.06 * (self.backdrop.light * np.cos(0.7 * time) + drift)
        field *= 1.0 + 0.12 * np.sin(self.sway[0] * 1.3 * time + self.sway[3])
        return np.asarray(
            cv2.resize(field.astype(np.float32), self.size[::-1], interpolation=cv2.INTER_CUBIC)
        )

    def _spot(self, lane: int, time: float) -> _Spot:
        """Return who walks in a lane, and where: one leaves on one side, the next one enters."""
        height, width = self.size
        walk = self.walks[lane]
        near = abs((walk.depth + walk.drift * time + 1.0) % 2.0 - 1.0)
        tall = walk.tall * height * (0.3 + 0.4 * near)
        span = 1.1 * width + walk.tall * height * 0.7
        stride = walk.tall * height * (0.3 + 0.4 * walk.depth)
        passed = walk.start * span + walk.speed * np.cos(walk.heading) * stride * time
        lap = int(passed // span)
        far = self.backdrop.horizon + 0.14
        camera = self._camera(time)
        x = passed % span - (span - width) / 2 - camera[0]
        y = (far + (0.97 - far) * near) * height - camera[1]
        return _Spot(float(y), float(x), float(tall), lane, 2 * abs(lap) - (lap < 0))


class _Spot(NamedTuple):
    """Where somebody stands and how tall they are, in pixels; sorts from far to near.

    ``lap`` counts those who have walked in the lane: 0 is the first.
    """

    y: float
    x: float
    tall: float
    lane: int
    lap: int


@lru_cache(maxsize=32)
def _scene(seed: int, video: int, first: int, size: Size, figures: int) -> _Scene:
    from vidseg.datasets._synthetic.backdrop import paint
    from vidseg.datasets._synthetic.figures import make_walk

    path = (seed, video, _SCENE, first)
    draw = _rng(*path, 0)
    sway = np.concatenate([draw.uniform(0.5, 1.4, 2), draw.uniform(0, 2 * np.pi, 2)])
    walks = tuple(make_walk(_rng(*path, 2, lane)) for lane in range(figures))
    return _Scene(path, size, paint(_rng(*path, 1), size), walks, sway)


@lru_cache(maxsize=512)
def _look(path: tuple[int, ...]) -> Look:
    from vidseg.datasets._synthetic.figures import make_look

    return make_look(_rng(*path, 3))


def _rng(*path: int) -> np.random.Generator:
    """Return the generator of one purpose, independent of every other."""
    return np.random.Generator(np.random.SFC64(path))


def _window(sprite: Sprite, shape: tuple[int, ...]) -> tuple[slice, slice, slice, slice] | None:
    """Return rows and columns of the frame, then of the sprite, where they overlap."""
    height, width = sprite.cover.shape
    top, bottom = max(sprite.top, 0), min(sprite.top + height, shape[0])
    left, right = max(sprite.left, 0), min(sprite.left + width, shape[1])
    if top >= bottom or left >= right:
        return None
    return (
        slice(top, bottom),
        slice(left, right),
        slice(top - sprite.top, bottom - sprite.top),
        slice(left - sprite.left, right - sprite.left),
    )


def _blend(frame: npt.NDArray[np.float32], sprite: Sprite) -> None:
    window = _window(sprite, frame.shape)
    if window is not None:
        rows, columns, own_rows, own_columns = window
        cover = sprite.cover[own_rows, own_columns, None]
        under = frame[rows, columns]
        under += cover * (sprite.colour[own_rows, own_columns] - under)


def _shadow(frame: npt.NDArray[np.float32], sprite: Sprite) -> None:
    """Darken the ground under the feet; a shadow is background."""
    import cv2

    height, width = sprite.cover.shape
    dark = np.zeros((max(4, height // 8), width * 2), np.float32)
    centre = (dark.shape[1] // 2, dark.shape[0] // 2)
    axes = (max(1, width // 2), max(1, dark.shape[0] // 3))
    cv2.ellipse(dark, centre, axes, 0, 0, 360, (0.45,), -1)
    dark = cv2.blur(dark, (max(1, width // 4), max(1, dark.shape[0] // 3)))
    top = sprite.top + height - 2 - dark.shape[0] // 2
    shade = sprite._replace(left=sprite.left - width // 2, top=top, cover=dark)
    window = _window(shade, frame.shape)
    if window is not None:
        rows, columns, own_rows, own_columns = window
        frame[rows, columns] *= 1.0 - dark[own_rows, own_columns, None]


def _draw_labels(sprites: list[Sprite], size: Size) -> MaskLabels:
    mask: Mask = np.full(size, -1, np.int8)
    boxes, ids = [], []
    for sprite in sprites:
        window = _window(sprite, size)
        if window is None:
            continue
        rows, columns, own_rows, own_columns = window
        inside = sprite.cover >= 0.5
        if inside[own_rows, own_columns].any():
            mask[rows, columns][inside[own_rows, own_columns]] = 1
            boxes.append(_box(sprite, inside))
            ids.append(sprite.identity)
    return MaskLabels(
        size,
        mask,
        boxes=np.array(boxes, np.float64) if boxes else no_boxes(),
        ids=np.array(ids, np.int64),
        ignored=np.zeros(len(ids), bool),
    )


def _box(sprite: Sprite, inside: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return (
        sprite.left + int(columns[0]),
        sprite.top + int(rows[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )
