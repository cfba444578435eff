"""Pictures written as a clip."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vidseg.errors import VidsegError
from vidseg.types import Image


def write_clip(pictures: Iterable[Image], file: Path, fps: float) -> None:
    """Write pictures of one size, ``uint8 (H, W, 3)``, as an MP4 that players show.

    H.264 where PyAV has an encoder, else MPEG-4. Both halve the colours' resolution, so an odd side
    gets its last row or column twice.

    Raises:
        VidsegError: PyAV is absent, or cannot write the file.
    """
    try:
        import av
    except ImportError as error:
        raise VidsegError(
            f"PyAV cannot be loaded: {error}", hint="install the package av"
        ) from error
    try:
        with av.open(str(file), "w", format="mp4") as container:
            codec, settings = _encoder(av)
            rate = Fraction(fps).limit_denominator(1001)
            stream: Any = container.add_stream(codec, rate=rate, options=settings)
            stream.pix_fmt = "yuv420p"
            for count, picture in enumerate(pictures):
                even = np.pad(picture, [(0, n % 2) for n in picture.shape[:2]] + [(0, 0)], "edge")
                if not count:
                    stream.height, stream.width = even.shape[:2]
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except av.FFmpegError as error:
        raise VidsegError(f"the clip cannot be written: {error.strerror}", where=file) from error


def _encoder(av: Any) -> tuple[str, dict[str, str]]:
    if "libx264" in av.codecs_available:
        return "libx264", {"crf": "20", "preset": "veryfast"}
    return "mpeg4", {"qscale": "3"}
