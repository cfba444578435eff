"""Folders of frames: listed in natural order, decoded strictly, hashed by content.

Frames are decoded with Pillow alone: it reports a truncated file where OpenCV 5 silently
returns grey, its size check needs only the header, and one decoder means one set of pixels
(JPEG decoders may differ in the last level, and the features would differ with them).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vidseg.errors import DataError, UsageError
from vidseg.types import Image, Memory, Size, VideoInfo
from vidseg.utils.lfs import HINT, is_lfs_pointer
from vidseg.utils.paths import user_path

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
DATA_VARIABLE = "VIDSEG_DATA"
_READER = "pillow, exif orientation applied, 8 bit RGB, 1"
_DEPTH_8 = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})


def locate(path: str, *, what: str, or_file: bool = False) -> Path:
    """Return the folder that ``path`` names, as it is or below ``VIDSEG_DATA``.

    With ``or_file`` it may name a file as well. ``~`` is expanded. A relative path is looked up in
    the current directory, then in the folder that the environment variable ``VIDSEG_DATA`` names
    (``mlflow run`` changes the directory).

    Raises:
        UsageError: ``path`` is empty.
        DataError: there is no such folder; the message says where it was looked for.
    """
    if not path.strip():
        raise UsageError("the path is empty", where=what, hint="give the folder of the data")
    given = user_path(path)
    base = os.environ.get(DATA_VARIABLE, "")
    places = [given]
    if base and not given.is_absolute():
        places.append(user_path(base) / given)
    for place in places:
        if place.is_dir() or (or_file and place.is_file()):
            return place
    looked = " and ".join(str(place.absolute()) for place in places)
    kind = "a file, not a folder" if any(p.exists() for p in places) else "no such folder"
    extra = "" if base or given.is_absolute() else f", or set {DATA_VARIABLE} to its parent folder"
    raise DataError(f"{kind} (looked at {looked})", where=what, hint=f"check the path{extra}")


def name_of(folder: Path) -> str:
    """Return the folder's own name, also for ``.`` and ``..``."""
    return folder.resolve().name if folder.name in ("", "..") else folder.name


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts ``frame2`` before ``frame10``."""
    parts = re.split(r"(\d+)", name)
    return tuple((1, int(part), part) if part.isdigit() else (0, 0, part) for part in parts)


def list_images(folder: Path, suffix: str = "") -> tuple[Path, ...]:
    """Return the image files of ``folder`` in natural order.

    Where some have ``suffix``, only these.

    Raises:
        DataError: the folder is missing, holds no image, or two with one number.
    """
    if not folder.is_dir():
        raise DataError("no such folder", where=folder)
    found = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    ]
    wanted = [file for file in found if file.suffix.lower() == suffix.lower()]
    files = sorted(wanted or found, key=lambda file: natural_key(file.name))
    if not files:
        raise DataError("holds no image", where=folder, hint="jpg, png, bmp, tif and webp are read")
    twice = [stem for stem, n in Counter(file.stem for file in files).items() if n > 1]
    if twice:
        raise DataError(f"two images are called {twice[0]!r}", where=folder, hint="remove one")
    return tuple(files)


def numbers_of(files: Sequence[Path]) -> list[int] | None:
    """Return the number in each file name: at its end, or else where the names differ.

    Args:
        files: in natural order.

    Returns:
        Ascending numbers; None where the names have none, or do not count.
    """
    stems = [file.stem for file in files]
    for found in ([re.search(r"(?<!\d)(\d{1,18})$", stem) for stem in stems], _middles(stems)):
        numbers = [int(match[1]) for match in found if match]
        if len(numbers) == len(stems) and all(a < b for a, b in pairwise(numbers)):
            return numbers
    return None


def _middles(stems: Sequence[str]) -> list[re.Match[str] | None]:
    """Return what is between the beginning and the end that all names share, if it is digits."""
    before = re.sub(r"\d+$", "", _shared(stems))
    after = re.sub(r"\d+$", "", _shared([stem[::-1] for stem in stems]))[::-1]
    shape = re.compile(f"{re.escape(before)}(\\d{{1,18}}){re.escape(after)}")
    return [shape.fullmatch(stem) for stem in stems]


def _shared(texts: Sequence[str]) -> str:
    """Return the longest beginning that all texts have."""
    first, last = min(texts), max(texts)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(letter for letter, _ in same)


_MOST_FRAMES = 10**8
"""Numbers that span more are times or identifiers: nobody films a year at 3 frames a second."""


def check_numbering(files: Sequence[Path]) -> None:
    """Refuse a numbered sequence with a hole in it.

    Names are a sequence when more than half of the steps are equal (a folder that keeps every
    fifth frame is one as well); a free selection of frames is none and passes, and so do times.

    Args:
        files: in natural order.

    Raises:
        DataError: numbers are missing, or one is there twice; the message names the first.
    """
    _refuse_twins(files)
    numbers = numbers_of(files)
    if numbers is None or numbers[-1] - numbers[0] > _MOST_FRAMES:
        return
    step = _usual_step(numbers)
    if step is None:
        return
    start, last = numbers[0], numbers[-1]
    holes = [
        (start + step * ((a - start) // step + 1), (b - start - 1) // step - (a - start) // step)
        for a, b in pairwise(numbers)
    ]
    holes = [(number, count) for number, count in holes if count > 0]
    if holes:
        digits = len(re.findall(r"\d+", files[0].stem)[-1])
        count = sum(count for _, count in holes)
        more = f" and {count - 1} more" if count > 1 else ""
        raise DataError(
            f"frame {holes[0][0]:0{digits}}{more} missing between {start} and {last}",
            where=files[0].parent,
            hint="restore the pictures",
        )


def _refuse_twins(files: Sequence[Path]) -> None:
    """Refuse names that differ in the zeros before a number only."""
    plain = Counter(re.sub(r"\d+", lambda found: str(int(found[0])), file.stem) for file in files)
    twice = [stem for stem, n in plain.items() if n > 1]
    if twice:
        raise DataError(f"frame {twice[0]} exists twice", where=files[0].parent)


def _usual_step(numbers: list[int]) -> int | None:
    steps = Counter(b - a for a, b in pairwise(numbers))
    if not steps:
        return None
    step, count = steps.most_common(1)[0]
    return step if step > 0 and 2 * count > len(numbers) - 1 else None


def decode(file: Path) -> Image:
    """Decode an image file completely.

    Returns:
        ``uint8 (H, W, 3)`` RGB; grey is repeated, alpha dropped, EXIF orientation applied.

    Raises:
        DataError: missing, truncated, corrupt, not an image, or more than 8 bits a channel.
    """
    with OpenedPicture(file) as picture:
        picture.load()
        if picture.mode not in _DEPTH_8:
            raise DataError(f"is of kind {picture.mode!r}, 8 bits a channel are needed", where=file)
        from PIL import ImageOps

        ImageOps.exif_transpose(picture, in_place=True)
        return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))


def read_size(file: Path) -> Size:
    """Return the size that :func:`decode` will give, from the header alone.

    Raises:
        DataError: missing, or not an image.
    """
    with OpenedPicture(file) as picture:
        width, height = picture.size
        turned = picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return Size(width, height) if turned else Size(height, width)


class OpenedPicture:
    """An image file whose every failure becomes a DataError that names the file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._picture: Picture | None = None

    def __enter__(self) -> Picture:
        from PIL import Image as Pillow

        try:
            self._picture = Pillow.open(self._file)
        except Exception as error:
            self._refuse(error)
            raise
        try:
            count = getattr(self._picture, "n_frames", 1)
        except Exception as error:
            self.__exit__(type(error), error, None)
            raise
        # MPO, the one exception, is a JPEG with a preview or a second view behind it.
        if count > 1 and self._picture.format != "MPO":
            self._picture.close()
            raise DataError(
                f"holds {count} pictures, one is needed",
                where=self._file,
                hint="export them one by one, or as a clip (GIF, MP4)",
            )
        return self._picture

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._picture is not None:
            self._picture.close()
        if error is not None:
            self._refuse(error)

    def _refuse(self, error: BaseException) -> None:
        from PIL import Image as Pillow

        if isinstance(error, FileNotFoundError):
            raise DataError("no such file", where=self._file) from error
        if isinstance(error, PermissionError | IsADirectoryError):
            raise DataError("cannot be opened", where=self._file) from error
        # Pillow's readers raise all of these for broken files, depending on the format.
        broken = (
            OSError,
            SyntaxError,
            ValueError,
            EOFError,
            IndexError,
            Pillow.DecompressionBombError,
        )
        if isinstance(error, broken) and is_lfs_pointer(self._file):
            raise DataError(
                "is a pointer of Git LFS, no image", where=self._file, hint=HINT
            ) from error
        if isinstance(error, broken):
            raise DataError(
                f"is no complete image ({error})", where=self._file, hint="fetch the file again"
            ) from error


@dataclass(frozen=True)
class ImageSequence:
    """The frames of one video, one file each.

    Attributes:
        files: in the order of time.
        fps: frames per second where known.
    """

    files: tuple[Path, ...]
    fps: float | None = None

    def __len__(self) -> int:
        return len(self.files)

    @cached_property
    def size(self) -> Size:
        """Size of the first frame, from its header."""
        return read_size(self.files[0])

    def probe(self) -> VideoInfo:
        """Return how many files there are, and the size of the first."""
        return VideoInfo(len(self.files), self.size, self.fps)

    def remember(self, memory: Memory) -> None:
        """Keep nothing: length and size need no decoding."""

    def frames(self, indices: Sequence[int]) -> Iterator[Image]:
        """Yield the frames of ``indices``.

        Raises:
            DataError: no such frame, a broken file, or another size than the first frame's.
        """
        for index in indices:
            if not 0 <= index < len(self.files):
                raise DataError(
                    f"has no frame {index}, only 0 to {len(self.files) - 1}",
                    where=self.files[0].parent,
                )
            image = decode(self.files[index])
            if image.shape[:2] != tuple(self.size):
                raise DataError(
                    f"is {Size(*image.shape[:2])}, the first frame is {self.size}",
                    where=self.files[index],
                    hint="all frames of a video must have one size",
                )
            yield image

    @cached_property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of each file's bytes; reads every file once."""
        return tuple(_hash_file(file) for file in self.files)

    @cached_property
    def key(self) -> str:
        """Hash of the frames' content and of how they are read; no paths, no times."""
        return content_key(_READER, *self.hashes)


def content_key(*parts: Any) -> str:
    """Return the SHA-256 over texts, numbers and arrays, as hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _hash_file(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=file) from error
