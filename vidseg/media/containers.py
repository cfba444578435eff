"""Finds video files that are shorter than their own header states, without decoding.

Decoders report no error where a file ends, so a copy that was interrupted looks like a short clip.
The outermost elements of these containers state their size in bytes, and that is a fact, unlike a
number of frames:

* MP4 and MOV: the boxes of the top level (ISO/IEC 14496-12, section 4.2);
* Matroska and WebM: the segment (RFC 8794 sections 4 and 6, RFC 9559 section 5.1);
* AVI: the RIFF chunk;
* GIF: its blocks, one after the other (GIF89a specification).

MPEG program and transport streams state nothing: one that is cut between two frames looks
like one that was meant to end there.
"""

from __future__ import annotations

import struct
from io import BufferedReader
from pathlib import Path

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_BOXES = frozenset(
    {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"sidx"}
)


def missing_bytes(file: Path) -> int:
    """Return how many bytes ``file`` lacks of what its header announces; 0 where it states no size.

    Raises:
        OSError: the file cannot be read.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(12)
        stream.seek(0)
        if head[:4] == b"RIFF":
            return max(0, 8 + int.from_bytes(head[4:8], "little") - size)
        if head[:4] == _EBML:
            return max(0, _end_of_segment(stream) - size)
        if head[:6] in (b"GIF87a", b"GIF89a"):
            return max(0, _end_of_gif(stream) - size)
        if head[4:8] in _BOXES:
            return max(0, _end_of_boxes(stream, size) - size)
    return 0


def _end_of_boxes(stream: BufferedReader, size: int) -> int:
    """Return where the last box ends that begins within ``size`` bytes."""
    at = 0
    while at + 8 <= size:
        stream.seek(at)
        length, kind = struct.unpack(">I4s", stream.read(8))
        if length == 1 and at + 16 <= size:
            length = int.from_bytes(stream.read(8), "big")
        if length < 8 or not kind.isalnum():
            return size  # 0 runs to the end of the file; anything else is no box of ours
        at += length
    return at


def _end_of_segment(stream: BufferedReader) -> int:
    """Return where the segment ends; 0 where it is of unknown length, as in live recordings."""
    stream.seek(4)
    header = _read_size(stream)
    if header is None:
        return 0
    stream.seek(header, 1)
    if stream.read(4) != _SEGMENT:
        return 0
    length = _read_size(stream)
    return 0 if length is None else stream.tell() + length


def _read_size(stream: BufferedReader) -> int | None:
    """Read EBML's number of variable length; None when it is unknown or malformed."""
    first = stream.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(first + stream.read(more), "big")
    marked = 1 << (7 * (more + 1))
    return None if value == 2 * marked - 1 else value - marked


def _end_of_gif(stream: BufferedReader) -> int:
    """Return where the last block that begins in the file ends; the trailer may be absent."""
    stream.seek(10)
    stream.seek(13 + _colour_table(stream.read(1)))
    while kind := stream.read(1):
        if kind == b"!":
            stream.seek(1, 1)
        elif kind == b",":
            stream.seek(8, 1)
            stream.seek(1 + _colour_table(stream.read(1)), 1)
        else:
            return stream.tell()
        while length := int.from_bytes(stream.read(1), "big"):
            stream.seek(length, 1)
    return stream.tell()


def _colour_table(flags: bytes) -> int:
    """Return the bytes of the colour table that these flags announce."""
    return 3 << (flags[0] % 8 + 1) if flags and flags[0] & 0x80 else 0
