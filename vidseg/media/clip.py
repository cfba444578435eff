"""Frames of a video file: decoded in order, so that every one is the right one.

Nothing here seeks. Seeking decoders return wrong frames on MPEG-2, on variable frame rates and
behind cuts, because time stamps and frame counts of containers are hints. A frame's index is its
place among all frames that decode, from the first to the last; durations play no part.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from vidseg.errors import DataError, VidsegError
from vidseg.media.containers import missing_bytes
from vidseg.media.display_matrix import orientation_of
from vidseg.media.image_folder import content_key
from vidseg.types import Image, Memory, Size, VideoInfo
from vidseg.utils.lfs import HINT, is_lfs_pointer

if TYPE_CHECKING:
    import av

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".m2v", ".ts", ".mts"}
    | {".m2ts", ".mxf", ".wmv", ".flv", ".ogv", ".3gp", ".gif"}
)
"""What a folder is searched for; a file that is named may be called anything."""

_READER = "pyav in order, rotated, bilinear accurate chroma, 1"
_MOST_OPEN = 4
_AGAIN = "fetch or export the clip again"


class ClipFrames:
    """The frames of one video file.

    Args:
        file: the file; nothing is read before it is needed.
    """

    hashes: tuple[str, ...] = ()
    """Frames have no files of their own."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._memory: Memory | None = None

    def remember(self, memory: Memory) -> None:
        """Keep the clip's true length in ``memory``, from one process to the next."""
        self._memory = memory

    def probe(self) -> VideoInfo:
        """Return true length and size; decodes the whole clip the first time.

        Raises:
            DataError: no video in it, or it does not decode to its end.
        """
        return self._info

    @cached_property
    def _info(self) -> VideoInfo:
        if self._memory is None:
            return self._decode()
        name = f"clip {self.key}"
        held = self._memory.get(name)
        if held is None:
            length, size, fps = self._decode()
            held = [length, *size, fps]
            self._memory.put(name, held)
        length, height, width, fps = held
        return VideoInfo(length, Size(height, width), fps)

    def _decode(self) -> VideoInfo:
        with _open(self.file) as stream:
            # threads that decode several frames at once report damage now and then only
            stream.thread_type = "SLICE"
            rate = stream.average_rate
            length, size = 0, None
            for frame in _decoded(self.file, stream):
                size, length = size or _size(frame), length + 1
        if size is None:
            raise DataError("not one frame decodes", where=self.file, hint=_AGAIN)
        return VideoInfo(length, size, float(rate) if rate else None)

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield the frames of ``indices``, ascending: ``uint8 (H, W, 3)`` RGB, upright.

        Turns and flips that the file asks a player for are applied.

        Decodes from the start of the clip, or from where the last call ended, and makes pictures
        of the wanted frames only.

        Raises:
            DataError: the clip ends or breaks before a wanted frame, or changes its size.
        """
        cursor = None
        for index in indices:
            if cursor is None or cursor.next > index:
                cursor = _take(self.file, index)
            yield cursor.read(index)
        if cursor is not None:
            _put_back(cursor)

    @cached_property
    def key(self) -> str:
        """Hash of the file's bytes and of how they are read; no paths, no times."""
        try:
            with self.file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", where=self.file) from error
        return content_key(_READER, digest, *(("flipped",) if self._is_flipped() else ()))

    def _is_flipped(self) -> bool:
        """Return whether the clip is to be shown mirrored; False where it does not open."""
        try:
            with _open(self.file) as stream:
                first = next(_decoded(self.file, stream), None)
                return first is not None and orientation_of(first).mirrored
        except DataError:
            return False


class _Cursor:
    """One pass over a clip. It closes itself at the clip's end."""

    def __init__(self, file: Path) -> None:
        self.file, self.next = file, 0
        self._frames = self._run()

    def read(self, index: int) -> Image:
        for frame in self._frames:
            self.next += 1
            if self.next > index:
                return _picture(frame)
        raise DataError(f"has no frame {index}, only 0 to {self.next - 1}", where=self.file)

    def close(self) -> None:
        self._frames.close()

    def _run(self) -> Any:
        with _open(self.file) as stream:
            yield from _decoded(self.file, stream)


class _OpenCursors(LRUCache[Path, _Cursor]):
    """The last few passes that were left before the end, so that the next call can go on."""

    def popitem(self) -> tuple[Path, _Cursor]:
        """Remove and close the least recently used."""
        file, cursor = super().popitem()
        cursor.close()
        return file, cursor


_open_cursors = _OpenCursors(_MOST_OPEN)
_LOCK = threading.Lock()


def _take(file: Path, index: int) -> _Cursor:
    """Return a pass over ``file`` that has not gone beyond ``index``."""
    with _LOCK:
        cursor = _open_cursors.get(file)
        return _open_cursors.pop(file) if cursor and cursor.next <= index else _Cursor(file)


def _put_back(cursor: _Cursor) -> None:
    with _LOCK:
        before = _open_cursors.pop(cursor.file, None)
        _open_cursors[cursor.file] = cursor
    if before is not None:
        before.close()


@contextmanager
def _open(file: Path) -> Iterator[av.VideoStream]:
    """Open the first video stream of a file; a picture on an audio file's cover is none.

    Raises:
        DataError: not a file that decodes, without video, or cut short.
    """
    av = _library()
    try:
        missing = missing_bytes(file)
        container = av.open(f"file:{file}", metadata_errors="replace")
    except (OSError, ValueError, EOFError, av.FFmpegError) as error:
        if is_lfs_pointer(file):
            raise DataError("is a pointer of Git LFS, no clip", where=file, hint=HINT) from error
        raise DataError(f"is no clip that opens ({_reason(error)})", where=file) from error
    with container:
        streams = [each for each in container.streams.video if not _is_cover(each)]
        if not streams:
            kind = "sound only" if container.streams.audio else "no video stream"
            raise DataError(f"holds {kind}", where=file, hint="give a clip with pictures")
        if missing:
            raise DataError(f"is cut short by {missing} bytes", where=file, hint=_AGAIN)
        streams[0].thread_type = "AUTO"
        yield streams[0]


def _library() -> Any:
    try:
        import av
    except ImportError as error:
        raise VidsegError(
            f"PyAV cannot be loaded: {error}", where="clips", hint="install the package av"
        ) from error
    return av


def _is_cover(stream: av.VideoStream) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _decoded(file: Path, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Yield every frame in the order of presentation; refuse a damaged one."""
    import av

    size, count = None, 0
    container = stream.container
    try:
        for frame in container.decode(stream):
            size = size or _size(frame)
            if frame.is_corrupt:
                raise DataError(f"frame {count} is damaged", where=file, hint=_AGAIN)
            if _size(frame) != size:
                raise DataError(
                    f"frame {count} is {_size(frame)}, the first is {size}",
                    where=file,
                    hint="all frames of a video must have one size",
                )
            count += 1
            yield frame
    except DataError as error:
        raise DataError(error.what, where=file, hint=error.hint) from error
    except av.FFmpegError as error:
        raise DataError(
            f"does not decode beyond about frame {count} ({_reason(error)})",
            where=file,
            hint=_AGAIN,
        ) from error


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


def _size(frame: av.VideoFrame) -> Size:
    stored = Size(frame.height, frame.width)
    return Size(frame.width, frame.height) if orientation_of(frame).transposed else stored


def _picture(frame: av.VideoFrame) -> Image:
    from av.video.reformatter import Interpolation

    # libswscale's default is 8 times faster and a grey level too dark; bitexact: on every machine
    how = (
        Interpolation.BILINEAR
        | Interpolation.ACCURATE_RND
        | Interpolation.FULL_CHR_H_INT
        | Interpolation.BITEXACT
    )
    image = frame.to_ndarray(format="rgb24", interpolation=how)
    return orientation_of(frame).apply(image)
