"""Flipped, zoomed, cropped, recoloured and blurred frames: the variant that ``augmented`` makes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vidseg.types import FrameSource, Image, Mask
from vidseg.utils.random import copy_generator

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where a copy looks: the frame flipped, enlarged about its centre, and shifted.

    Attributes:
        flip: left and right are exchanged, before anything else.
        zoom: factor of enlargement, the same for both sides.
        shift: of the result to the right and down, as shares of its width and height.
    """

    flip: bool
    zoom: float
    shift: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Augment:
    """Change the view and the colours of a frame, and its mask alike.

    The draw depends on (seed, video, frame, copy) and, when fresh, on the epoch.

    Attributes:
        video: name of the video.
        flip: probability that left and right are exchanged.
        scale: the zoom is log-uniform in 1 / scale..scale.
        crop: the share of each side that is cut off is uniform in 0..crop; what is left, anywhere
            in the zoomed frame, fills the image again.
        colour: brightness, contrast and saturation are multiplied by 1 - colour..1 + colour; the
            hue turns by up to a tenth of ``colour`` of the circle.
        blur: the standard deviation of the Gaussian blur is uniform in 0..blur pixels.
        fresh: every epoch draws anew.
        seed: seed of the cell.
        copy: number of this copy of the frame.
    """

    video: str
    flip: float
    scale: float
    crop: float
    colour: float
    blur: float
    fresh: bool
    seed: int
    copy: int

    def render(self, source: FrameSource, index: int, epoch: int) -> tuple[Image, Mask]:
        """Return the changed image, ``uint8``, and its mask.

        Outside the frame the image has the frame's mean colour and the mask is 0, ignored. The
        mask moves by nearest pixel, at its own size.
        """
        draw = epoch if self.fresh else 0
        rng = copy_generator(self.seed, self.video, index, self.copy, draw)
        view, labels = self._geometry(rng), _planes(source.mask(index)[..., None])
        pixels = _planes(source.image(index)).float() / 255
        with _one_thread():
            moved = _moved(pixels, view, pixels.mean((1, 2)).tolist(), smooth=True)
            changed = self._blurred(self._coloured(moved, rng), rng)
            image = (changed * 255).round().clamp(0, 255).byte().permute(1, 2, 0)
            mask = _moved(labels, view, [0.0], smooth=False)[0]
        return image.contiguous().numpy(), mask.contiguous().numpy()

    def _geometry(self, rng: np.random.Generator) -> Geometry:
        flip = bool(rng.random() < self.flip)
        scaled = self.scale ** rng.uniform(-1, 1)
        cut = rng.uniform(0, self.crop)
        x, y = rng.uniform(-0.5, 0.5, 2) * cut
        return Geometry(flip, scaled / (1 - cut), (x / (1 - cut), y / (1 - cut)))

    def _coloured(self, pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        from torchvision.transforms.v2 import functional as transforms

        brightness, contrast, saturation = rng.uniform(1 - self.colour, 1 + self.colour, 3)
        hue = rng.uniform(-0.1, 0.1) * self.colour
        if self.colour == 0:
            return pixels
        pixels = transforms.adjust_brightness(pixels, brightness)
        pixels = transforms.adjust_contrast(pixels, contrast)
        pixels = transforms.adjust_saturation(pixels, saturation)
        turned: torch.Tensor = transforms.adjust_hue(pixels, hue)
        return turned

    def _blurred(self, pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        from torchvision.transforms.v2 import functional as transforms

        sigma = float(rng.uniform(0, self.blur))
        reach = min(int(np.ceil(3 * sigma)), min(pixels.shape[1:]) - 1)
        if reach < 1:
            return pixels
        blurred: torch.Tensor = transforms.gaussian_blur(pixels, [2 * reach + 1] * 2, [sigma] * 2)
        return blurred


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: frames are small, and where cores are busy more are far slower."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _planes(array: npt.NDArray[np.uint8] | npt.NDArray[np.int8]) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.array(array)).permute(2, 0, 1)


def _moved(
    planes: torch.Tensor, view: Geometry, outside: list[float], *, smooth: bool
) -> torch.Tensor:
    """Return ``(C, H, W)`` seen through ``view``, ``outside`` (one value a plane) around it."""
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional as transforms

    if view.flip:
        planes = transforms.horizontal_flip(planes)
    if view.zoom == 1 and view.shift == (0, 0):
        return planes
    height, width = planes.shape[1:]
    mode = InterpolationMode.BILINEAR if smooth else InterpolationMode.NEAREST
    moved: torch.Tensor = transforms.affine(
        planes,
        angle=0.0,
        translate=[view.shift[0] * width, view.shift[1] * height],
        scale=view.zoom,
        shear=[0.0, 0.0],
        interpolation=mode,
        fill=outside,
    )
    return moved
