"""The pictures of a conversion: linked, copied, or decoded and written as PNG or JPEG."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from vidseg.errors import DataError
from vidseg.media.image_folder import ImageSequence
from vidseg.types import Image, Video

WAYS: Final = ("link", "copy", "png", "jpg")
"""``link``: hard links to the files of the frames; ``copy``: copies of them; frames that have no
file of their own (clips, generated videos) are written as PNG by both. ``png`` (exact) and ``jpg``
(not exact, quality 95): decode and write them all."""

_QUALITY = 95
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK)


class PictureWriter:
    """Writes pictures, and counts how.

    Args:
        root: the folder of the conversion.
        way: one of :data:`WAYS`.
    """

    def __init__(self, root: Path, way: str) -> None:
        self._root, self._way = root, way
        self.counts: dict[str, int] = {}

    def write(self, video: Video, stems: Sequence[Path], advance: Callable[[], None]) -> list[Path]:
        """Write all frames of a video.

        Args:
            video: its frames.
            stems: where each goes below the root, without suffix.
            advance: called after each.

        Returns:
            The paths below the root.

        Raises:
            DataError: a frame cannot be read, or there are not as many as the video said.
        """
        images = getattr(video, "images", None)
        found = []
        if isinstance(images, ImageSequence) and self._way in ("link", "copy"):
            for file, stem in zip(images.files, stems, strict=True):
                found.append(stem.with_name(stem.name + file.suffix.lower()))
                self._place(file, self._made(found[-1]))
                advance()
            return found
        suffix = ".jpg" if self._way == "jpg" else ".png"
        for image, stem in zip(video.frames(range(len(stems))), stems, strict=False):
            found.append(stem.with_name(stem.name + suffix))
            self._encode(image, self._made(found[-1]))
            advance()
        if len(found) < len(stems):
            raise DataError(
                f"ends after {len(found)} frames, {len(stems)} were found", where=video.name
            )
        return found

    def _made(self, path: Path) -> Path:
        place = self._root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _place(self, file: Path, place: Path) -> None:
        way = self._way
        if way == "link":
            try:
                os.link(file.resolve(), place)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                way = "copy"
        if way == "copy":
            shutil.copyfile(file, place)
        self._count("linked" if way == "link" else "copied")

    def _encode(self, image: Image, place: Path) -> None:
        from PIL import Image as Pillow

        picture = Pillow.fromarray(image)
        if self._way == "jpg":
            picture.save(place, "JPEG", quality=_QUALITY, subsampling=0)
        else:
            picture.save(place, "PNG", compress_level=1)
        self._count("written as JPEG, not exact" if self._way == "jpg" else "written as PNG")

    def _count(self, how: str) -> None:
        self.counts[how] = self.counts.get(how, 0) + 1
