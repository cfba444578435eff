"""One file of the store: a checksummed header, then the bytes of the arrays.

Layout, little-endian::

    8 bytes   magic, ends in the format's version
    4 bytes   length of the JSON text
    4 bytes   CRC-32 of the JSON text
    n bytes   JSON: key, dtype, shapes, crc32 of the payload
    padding   to a multiple of 4096, so that the payload can be memory-mapped
    payload   the arrays, C-contiguous, one after the other

A reader states what it expects (key, dtype, shapes); anything else is corrupt. The CRC finds every
burst of up to 32 wrong bits; truncation shows in the file's size before anything is read.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import FileIO
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"vidseg\x00\x01"
PAGE = 4096
_PREFIX = struct.Struct("<8sII")

Array = npt.NDArray[Any]
Buffer = npt.NDArray[np.uint8]


class CorruptEntry(Exception):  # noqa: N818 - a finding, mended by the reader, never shown
    """The file is not the entry that was asked for."""


@dataclass(frozen=True)
class Layout:
    """What an entry must hold.

    Attributes:
        key: identifies video, size, extractor and frame; stored in the header.
        dtype: ``"|u1"``, ``"<f2"`` or ``"|i1"``.
        shapes: shape of each array.
    """

    key: str
    dtype: str
    shapes: tuple[tuple[int, ...], ...]

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the payload."""
        return sum(map(math.prod, self.shapes)) * np.dtype(self.dtype).itemsize

    def header(self, crc: int) -> bytes:
        """Return the header, a multiple of 4096 bytes, for a payload with checksum ``crc``."""
        # The checksum has a fixed width, so the header's length depends on the layout alone.
        fields = {"key": self.key, "dtype": self.dtype, "shapes": self.shapes, "crc": f"{crc:08x}"}
        text = json.dumps(fields).encode()
        raw = _PREFIX.pack(MAGIC, len(text), zlib.crc32(text)) + text
        return raw.ljust(self.offset, b"\0")

    @cached_property
    def offset(self) -> int:
        """Where the payload begins in the file."""
        fields = {"key": self.key, "dtype": self.dtype, "shapes": self.shapes, "crc": "0" * 8}
        return math.ceil((_PREFIX.size + len(json.dumps(fields))) / PAGE) * PAGE

    def views(self, buffer: Buffer) -> tuple[Array, ...]:
        """Return the arrays that lie in ``buffer``, ``uint8 (nbytes,)``, without a copy."""
        arrays, start, dtype = [], 0, np.dtype(self.dtype)
        for shape in self.shapes:
            stop = start + math.prod(shape) * dtype.itemsize
            arrays.append(buffer[start:stop].view(dtype).reshape(shape))
            start = stop
        return tuple(arrays)


def encode(layout: Layout, arrays: Sequence[Array]) -> list[memoryview]:
    """Return the pieces of the file that holds ``arrays``.

    Raises:
        ValueError: the arrays are not what ``layout`` says.
    """
    found = tuple(array.shape for array in arrays)
    if found != layout.shapes or any(array.dtype != layout.dtype for array in arrays):
        raise ValueError(f"expected {layout.dtype} {layout.shapes}, got {found}")
    pieces = [np.ascontiguousarray(array).data.cast("B") for array in arrays]
    crc = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    return [memoryview(layout.header(crc)), *pieces]


def decode(file: FileIO, layout: Layout, *, verify: bool) -> Buffer:
    """Return the payload of ``file``, ``uint8 (nbytes,)``, mapped and copied on write.

    Args:
        file: the open entry, unbuffered.
        layout: what it must hold.
        verify: compare the payload with its checksum (7 ms for 18 MB); header and size always are.

    Raises:
        CorruptEntry: truncated, damaged, or another entry than expected.
    """
    if os.fstat(file.fileno()).st_size != layout.offset + layout.nbytes:
        raise CorruptEntry
    crc = _checked_header(_read_header(file, layout.offset), layout)
    payload = _mapped(file, layout.offset)
    if verify and zlib.crc32(payload.data) != crc:
        raise CorruptEntry
    return payload


def _mapped(file: FileIO, offset: int) -> Buffer:
    pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    if hasattr(mmap, "MADV_WILLNEED"):
        pages.madvise(mmap.MADV_WILLNEED)
    return np.frombuffer(pages, np.uint8, offset=offset)


def _read_header(file: FileIO, size: int) -> bytes:
    raw = b""
    while len(raw) < size:
        if not (more := file.read(size - len(raw))):
            raise CorruptEntry
        raw += more
    return raw


def _checked_header(raw: bytes, layout: Layout) -> int:
    magic, length, crc = _PREFIX.unpack_from(raw)
    text = raw[_PREFIX.size : _PREFIX.size + length]
    if magic != MAGIC or zlib.crc32(text) != crc:
        raise CorruptEntry
    payload = int(json.loads(text)["crc"], 16)
    if raw != layout.header(payload):
        raise CorruptEntry
    return payload
