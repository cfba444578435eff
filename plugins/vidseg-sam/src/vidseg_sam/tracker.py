"""A tracker: the box around the mask of SAM 2, EdgeTAM or SAM 3."""

from __future__ import annotations

from typing import ClassVar, Literal

from vidseg_sam.session import Box, Image, Session, box_of, load
from vidseg_sam.weights import locate

DEFAULT = "facebook/sam2.1-hiera-tiny"


class Sam2:
    """Follow an object by its mask; the box is the one around it.

    Args:
        weights: folder of a model (SAM 2, EdgeTAM, SAM 3), or its name in the model hub.
        device: where it computes.
    """

    contract: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch", "transformers")

    def __init__(self, weights: str = DEFAULT, device: Literal["cpu", "cuda"] = "cpu") -> None:
        self._folder, self._device = locate(weights), device
        self._session: Session | None = None
        self._box: Box = (0.0, 0.0, 0.0, 0.0)

    def start(self, image: Image, box: Box) -> None:
        """Take the object in ``box`` of ``image``, ``uint8 (H, W, 3)``, as what is followed."""
        self._session, self._box = Session(load(self._folder, self._device)), box
        self._session.step(image, {1: box})

    def update(self, image: Image) -> tuple[Box, float]:
        """Return the box in the next frame, and the probability that the object is there.

        Where the mask is empty the last box stays, with confidence 0.
        """
        assert self._session is not None
        mask, sure = self._session.step(image)[1]
        found = box_of(mask)
        if found is None:
            return self._box, 0.0
        self._box = found
        return found, sure
