"""The frames of a video as JPEG for the page, in any order, although clips decode in order only.

A clip is decoded once, from its first frame on, into a temporary file without a name, which is gone
when the process ends in whatever way. JPEG files of a folder are passed on as they are.
"""

from __future__ import annotations

import io
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vidseg.datasets.files import FrameFiles
from vidseg.errors import ResourceError, VidsegError
from vidseg.media.clip import ClipFrames
from vidseg.types import Image
from vidseg.utils.files import disk_is_full

QUALITY = 90
ORIENTATION = 0x0112
"""EXIF's number of the tag that turns a picture."""


class NotYetError(VidsegError):
    """A frame that is not decoded yet."""


class Pictures:
    """JPEG of each frame of one video.

    Args:
        images: the frames.
        length: how many there are.
        scratch: folder for the temporary file of a clip.
    """

    def __init__(self, images: FrameFiles, length: int, scratch: Path) -> None:
        self._images, self.length = images, length
        self._spool = _Spool(images, length, scratch) if isinstance(images, ClipFrames) else None

    @property
    def ready(self) -> int:
        """How many frames, from the first on, can be shown at once."""
        return self.length if self._spool is None else self._spool.ready

    @property
    def error(self) -> str:
        """Why no further frames come; empty where nothing is wrong."""
        return "" if self._spool is None or self._spool.error is None else str(self._spool.error)

    def jpeg(self, index: int, wait: float | None = None) -> bytes:
        """Return a frame.

        Args:
            index: of the frame.
            wait: seconds to wait for the decoder; None: as long as it takes.

        Raises:
            NotYetError: it is not decoded after this time.
            DataError: there is no such frame, or it cannot be read.
        """
        if self._spool is not None:
            return self._spool.read(index, wait)
        file = getattr(self._images, "files", ())[index : index + 1]
        if file and _is_plain_jpeg(file[0]):
            return bytes(file[0].read_bytes())
        return encode(next(self._images.frames([index])))

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield frames as ``uint8 (H, W, 3)``; those of a clip have passed through JPEG."""
        if self._spool is None:
            yield from self._images.frames(indices)
            return
        for index in indices:
            yield decode(self._spool.read(index, None))

    def close(self) -> None:
        """Stop decoding."""
        if self._spool is not None:
            self._spool.close()


class _Spool:
    """JPEG of the frames of a clip, one behind the other in a file without a name."""

    def __init__(self, images: ClipFrames, length: int, scratch: Path) -> None:
        self._images, self._length = images, length
        scratch.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - closed by close()
        self._ends = [0]
        self._changed = threading.Condition()
        self._closed = False
        self.error: VidsegError | None = None
        self._thread = threading.Thread(target=self._decode, name="decode", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> int:
        return len(self._ends) - 1

    def read(self, index: int, wait: float | None) -> bytes:
        with self._changed:
            known = self._changed.wait_for(
                lambda: self._closed or index < self.ready or self.error is not None, wait
            )
            if self._closed or not known:
                raise NotYetError(f"frame {index} is not decoded yet")
            if index >= self.ready:
                assert self.error is not None
                raise self.error
            begin, end = self._ends[index : index + 2]
            return os.pread(self._file.fileno(), end - begin, begin)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self._file.close()

    def _decode(self) -> None:
        try:
            for image in self._images.frames(range(self._length)):
                data = encode(image)
                if self._closed:
                    return
                self._file.write(data)
                self._file.flush()
                with self._changed:
                    self._ends.append(self._ends[-1] + len(data))
                    self._changed.notify_all()
        except VidsegError as error:
            self._fail(error)
        except OSError as error:
            self._fail(_unwritable(error))

    def _fail(self, error: VidsegError) -> None:
        with self._changed:
            self.error = error
            self._changed.notify_all()


def _unwritable(error: OSError) -> ResourceError:
    what = "the disk is full" if disk_is_full(error) else f"cannot be written ({error.strerror})"
    return ResourceError(
        f"{what}: no further frames are shown", where="decoded frames", hint="free space, open anew"
    )


def encode(image: Image) -> bytes:
    """Return ``uint8 (H, W, 3)`` as JPEG."""
    from PIL import Image as Pillow

    out = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(image)).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def decode(data: bytes) -> Image:
    """Return the picture of a JPEG."""
    from PIL import Image as Pillow

    with Pillow.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def _is_plain_jpeg(file: Path) -> bool:
    """Return whether a browser shows a file as vidseg reads it."""
    from PIL import Image as Pillow

    if file.suffix.lower() not in (".jpg", ".jpeg"):
        return False
    try:
        with Pillow.open(file) as picture:
            turned = picture.getexif().get(ORIENTATION, 1) != 1
            return picture.format == "JPEG" and picture.mode in ("RGB", "L") and not turned
    except OSError:
        return False
