"""Clips whose every frame shows its own number, and ffmpeg to make them.

A frame carries its number as ten black and white squares, so that a test reads from the decoded
picture which frame it is, whatever codec, time stamps or cuts lie between.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

SIZE = (160, 96)
"""Width, height."""
BITS = 10
_SIDE = 16


def numbered(index: int) -> np.ndarray:
    """Return frame ``index``: a moving pattern above, its number in binary below."""
    width, height = SIZE
    coarse = np.random.default_rng(7).integers(40, 200, (height // _SIDE, width // _SIDE, 3))
    image = np.roll(np.kron(coarse, np.ones((_SIDE, _SIDE, 1))), index, axis=1).astype(np.uint8)
    for bit in range(BITS):
        image[-_SIDE:, bit * _SIDE : (bit + 1) * _SIDE] = 235 if index >> bit & 1 else 20
    return image


def number_of(image: np.ndarray) -> int:
    """Return the number that a frame shows."""
    squares = image[-_SIDE:].reshape(_SIDE, BITS, _SIDE, 3)[4:12, :, 4:12].mean(axis=(0, 2, 3))
    return sum(1 << bit for bit in range(BITS) if squares[bit] > 128)


@functools.cache
def encoders() -> str:
    """Return ffmpeg's list of encoders; skips the test where ffmpeg is absent."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    listed = subprocess.run(["ffmpeg", "-hide_banner", "-encoders"], capture_output=True, text=True)
    return listed.stdout


def need(*names: str) -> None:
    """Skip the test where ffmpeg, or one of these encoders of it, is absent."""
    for name in names:
        if f" {name} " not in encoders():
            pytest.skip(f"ffmpeg has no encoder {name}")


def ffmpeg(*words: object, data: bytes | None = None) -> bytes:
    """Run ffmpeg; return what it prints."""
    encoders()
    command = ["ffmpeg", "-v", "error", "-y", *map(str, words)]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def encode(file: Path, frames: Iterable[np.ndarray], *words: object, rate: int = 25) -> Path:
    """Encode frames of one size with ffmpeg's options ``words``."""
    pictures = list(frames)
    height, width = pictures[0].shape[:2]
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", rate, "-i", "-")
    ffmpeg(*raw, *words, file, data=b"".join(picture.tobytes() for picture in pictures))
    return file


def count_up(file: Path, count: int, *words: object) -> Path:
    """Encode ``count`` numbered frames."""
    return encode(file, map(numbered, range(count)), *words)


def plain_clip(file: Path, frames: Iterable[np.ndarray], codec: str = "mpeg4") -> Path:
    """Encode frames with PyAV alone: for tests that need a clip and no ffmpeg."""
    import av

    pictures = list(frames)
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"qscale": "2"})
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        stream.height, stream.width = pictures[0].shape[:2]
        for picture in pictures:
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return file


def reference_numbers(file: Path) -> list[int]:
    """Return the numbers that ffmpeg itself shows, no frame doubled or dropped."""
    words = ("-map", "0:v:0", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24")
    raw = np.frombuffer(ffmpeg("-i", file, *words, "-"), np.uint8)
    return [number_of(frame) for frame in raw.reshape(-1, SIZE[1], SIZE[0], 3)]
