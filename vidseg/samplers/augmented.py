"""Augmented copies of another sampler's frames: the other control beside noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from vidseg.errors import UsageError
from vidseg.samplers.augment import Augment
from vidseg.samplers.base import SampleContext
from vidseg.samplers.copies import Base, built, copied
from vidseg.types import FrameRef, Video


class Augmented:
    """Take augmented copies of each frame of another sampler.

    With ``copies=20`` over ``1`` an arm has as many images as the paper's ``20`` real frames. Each
    copy is flipped, zoomed, cropped, recoloured and blurred at random; its mask moves with it, and
    is ignored outside the frame.

    Args:
        base: the sampler whose frames are copied: a name, or a spec in brackets.
        copies: how many of each frame; the frame itself is not among them.
        flip: probability that left and right are exchanged.
        scale: the frame is zoomed by 1 / scale..scale about its centre; 1 for not at all.
        crop: up to this share of each side is cut off, and the rest fills the image again.
        colour: brightness, contrast and saturation change by up to this share, the hue by up to
            a tenth of it (of the colour circle).
        blur: largest standard deviation of the Gaussian blur, in pixels of ``image_size``.
        fresh: every epoch draws anew; otherwise the copies are the same in all epochs.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        base: Base = 1,
        copies: Annotated[int, Field(ge=1)] = 20,
        flip: Annotated[float, Field(ge=0, le=1)] = 0.5,
        scale: Annotated[float, Field(ge=1, le=4)] = 1.25,
        crop: Annotated[float, Field(ge=0, le=0.9)] = 0.2,
        colour: Annotated[float, Field(ge=0, le=1)] = 0.2,
        blur: Annotated[float, Field(ge=0, le=20)] = 1.0,
        fresh: bool = True,
    ) -> None:
        if (flip, scale, crop, colour, blur) == (0, 1, 0, 0, 0):
            raise UsageError(
                "flip=0, scale=1, crop=0, colour=0 and blur=0 change nothing",
                where="sampler augmented",
                hint="set one of them",
            )
        self.base, self.copies = built(base), copies
        self.flip, self.scale, self.crop = flip, scale, crop
        self.colour, self.blur, self.fresh = colour, blur, fresh

    @property
    def spacing(self) -> int | None:
        """Distance of two frames that the base sampler asks for."""
        return getattr(self.base, "spacing", None)

    def sample(self, videos: Sequence[Video], ctx: SampleContext) -> list[FrameRef]:
        """Return the copies, frame by frame, in the order of the base sampler.

        Raises:
            DataError: what the base sampler refuses.
            UsageError: the base sampler changes frames itself.
        """

        def make(video: Video, index: int, copy: int) -> Augment:
            return Augment(
                video=video.name,
                flip=self.flip,
                scale=self.scale,
                crop=self.crop,
                colour=self.colour,
                blur=self.blur,
                fresh=self.fresh,
                seed=ctx.seed,
                copy=copy,
            )

        return copied(self.base, self.copies, videos, ctx, make)
