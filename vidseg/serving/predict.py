"""Predicts pictures, folders and clips with a kept model: masks, overlays, a clip of the overlays.

The output is ``masks/NAME.png`` (0 and 255, at the picture's own size), ``overlays/NAME.jpg``,
``overlay.mp4`` for consecutive frames, and ``prediction.json``: which model, threshold and source.
Each file is written under another name and then renamed: a file that is there is whole, and what
is there is not done again.
"""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vidseg import __version__
from vidseg.errors import DataError, UsageError, VidsegError
from vidseg.media import image_folder as images
from vidseg.media.clip import SUFFIXES as CLIPS
from vidseg.media.clip import ClipFrames
from vidseg.media.write_clip import write_clip
from vidseg.serving.predictor import Predictor
from vidseg.types import Image
from vidseg.utils.files import replacing
from vidseg.utils.progress import Progress
from vidseg.utils.stop import check_stop

MASKS, OVERLAYS, CLIP, FACTS = "masks", "overlays", "overlay.mp4", "prediction.json"
FPS = 25.0
"""Frames per second of an overlay clip where the source states none."""

_JPEG_QUALITY = 92


@dataclass(frozen=True)
class Source:
    """What is predicted.

    Attributes:
        title: for messages and ``prediction.json``.
        names: of the pictures, unique; their masks and overlays are called so.
        key: hash of the content and the names.
        separate: each picture is a file of its own: others can be read where one is broken.
        frames: yields the pictures of ascending indices, ``uint8 (H, W, 3)`` RGB each.
        fps: frames per second of consecutive frames; None where they are not consecutive.
    """

    title: str
    names: tuple[str, ...]
    key: str
    frames: Callable[[Sequence[int]], Iterator[Image]]
    fps: float | None
    separate: bool = False


@dataclass(frozen=True)
class Prediction:
    """What was written.

    Attributes:
        masks, overlays: their folders.
        clip: the overlay clip, where there is one.
        count: number of pictures.
        computed: those of them that were not there yet.
        failed: what is wrong with each picture that could not be read, by its name.
    """

    masks: Path
    overlays: Path
    clip: Path | None
    count: int
    computed: int
    failed: dict[str, str] = field(default_factory=dict)


def open_source(inputs: Sequence[Path], fps: float | None = None) -> Source:
    """Return what ``inputs`` name: pictures, or one folder of pictures, or one clip.

    A folder is a sequence when its names end in numbers that count in equal steps. A clip is
    decoded once, from its start to its end.

    Args:
        inputs: paths.
        fps: overrides what the source states.

    Raises:
        UsageError: a mixture of these.
        DataError: missing, empty, or broken; two pictures of one name.
    """
    for path in inputs:
        if not path.exists():
            raise DataError("no such file or folder", where=path)
    first = inputs[0]
    if len(inputs) == 1 and first.is_dir():
        files = images.list_images(first)
        rate = (fps or FPS) if _is_sequence(files) else None
        return _pictures(images.name_of(first), files, rate)
    if len(inputs) == 1 and first.suffix.lower() in CLIPS:
        return _clip(first, fps)
    for path in inputs:
        if path.is_dir() or path.suffix.lower() in CLIPS:
            raise UsageError(
                f"{path} stands among {len(inputs)} inputs",
                where="inputs",
                hint="give pictures, or one folder, or one clip",
            )
    return _pictures(f"{len(inputs)} pictures" if inputs[1:] else first.name, inputs, None)


def _pictures(title: str, files: Sequence[Path], fps: float | None) -> Source:
    names = tuple(file.stem for file in files)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"two pictures are called {twice[0]!r}", hint="predict them one by one")
    hashes = images.ImageSequence(tuple(files)).hashes

    def frames(indices: Sequence[int]) -> Iterator[Image]:
        return (images.decode(files[index]) for index in indices)

    return Source(title, names, images.content_key(*names, *hashes), frames, fps, separate=True)


def _is_sequence(files: Sequence[Path]) -> bool:
    try:
        images.check_numbering(files)
    except DataError:
        return False
    numbers = images.numbers_of(files)
    steps = set(np.diff(numbers)) if numbers else set()
    return len(steps) == 1


def _clip(file: Path, fps: float | None) -> Source:
    clip = ClipFrames(file)
    info = clip.probe()
    names = tuple(f"{index:06d}" for index in range(info.length))
    return Source(file.name, names, clip.key, clip.frames, fps or info.fps or FPS)


def predict(
    predictor: Predictor,
    source: Source,
    output: Path,
    *,
    model: dict[str, str],
    threshold: float | None = None,
    fresh: bool = False,
    progress: Progress,
) -> Prediction:
    """Predict ``source`` into the folder ``output``, or what is left of it.

    Args:
        predictor: the model.
        source: the pictures.
        output: a new folder, or one with a prediction of the same source by the same model.
        model: what ``prediction.json`` says of the model; ``digest`` tells models apart.
        threshold: scores above it are foreground; None: the model's own.
        fresh: remove a prediction that is there, whatever it is of.
        progress: where to tell how far it is.

    Pictures that cannot be read are left out, and are in ``failed``; then there is no clip.

    Raises:
        DataError: a clip breaks; pictures before that are kept.
        UsageError: ``output`` holds something else.
        VidsegError: ``output`` cannot be written.
    """
    limit = predictor.threshold if threshold is None else threshold
    facts = {
        "model": model,
        "threshold": limit,
        "source": {"name": source.title, "key": source.key, "pictures": len(source.names)},
        "fps": source.fps,
    }
    try:
        before = _claim(output, facts, fresh)
        computed, failed = _masks(predictor, source, output, limit, progress)
        clip = output / CLIP if not failed and _makes_a_clip(source, output) else None
        if clip is not None and (computed or not clip.exists() or before.get("fps") != source.fps):
            _overlay_clip(source, output, clip, progress)
    except OSError as error:
        raise VidsegError(
            f"cannot be written: {error.strerror or error}",
            where=error.filename or output,
            hint="free the disk or choose another --output; what is finished is kept",
        ) from error
    return Prediction(output / MASKS, output / OVERLAYS, clip, len(source.names), computed, failed)


def _claim(output: Path, facts: dict[str, Any], fresh: bool) -> dict[str, Any]:
    """Take a folder that is new, or that holds the same prediction; return what it said before."""
    if output.exists() and not output.is_dir():
        raise UsageError("is a file, not a folder", where=output, hint="choose another --output")
    there = _facts(output)
    if there is None and output.is_dir() and any(output.iterdir()):
        raise UsageError(
            "holds files that are no prediction", where=output, hint="choose another --output"
        )
    if there and fresh:
        _remove(output)
    elif there and (other := _difference(there, facts)):
        raise UsageError(
            f"holds a prediction with another {other}",
            where=output,
            hint="choose another --output, or give --fresh to replace it",
        )
    for folder in (MASKS, OVERLAYS):
        (output / folder).mkdir(parents=True, exist_ok=True)
    content = {"vidseg": __version__, **facts}
    _write(output / FACTS, (json.dumps(content, indent=2) + "\n").encode())
    return there or {}


def _difference(there: dict[str, Any], facts: dict[str, Any]) -> str:
    """Return what tells two predictions apart: model, threshold or source; else ``""``."""

    def identity(content: dict[str, Any]) -> dict[str, Any]:
        model, source = content.get("model", {}), content.get("source", {})
        return {
            "model": model.get("digest"),
            "threshold": content.get("threshold"),
            "source": source.get("key"),
        }

    ours, theirs = identity(facts), identity(there)
    return next((name for name in ours if ours[name] != theirs[name]), "")


def _facts(output: Path) -> dict[str, Any] | None:
    """Return what ``output`` says it holds; None where it says nothing of the kind."""
    try:
        content = json.loads((output / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and "vidseg" in content else None


def _remove(output: Path) -> None:
    for folder in (MASKS, OVERLAYS):
        shutil.rmtree(output / folder, ignore_errors=True)
    for file in (CLIP, FACTS):
        (output / file).unlink(missing_ok=True)


def _masks(
    predictor: Predictor, source: Source, output: Path, threshold: float, progress: Progress
) -> tuple[int, dict[str, str]]:
    """Write the masks and overlays that are missing; return their number, and what failed."""
    failed: dict[str, str] = {}
    places = [
        (output / MASKS / f"{name}{predictor.task.suffix}", output / OVERLAYS / f"{name}.jpg")
        for name in source.names
    ]
    missing = [
        index
        for index, (mask, overlay) in enumerate(places)
        if not (mask.exists() and overlay.exists())
    ]
    with progress.task(f"{source.title}: masks", len(missing)) as task:
        for index, image in _readable(source, missing, failed, progress):
            found = predictor.mask(image, threshold)
            mask, overlay = places[index]
            _write(mask, predictor.task.encode(found))
            _write(overlay, _jpeg(predictor.task.draw_output(image, found)))
            check_stop()
            task.advance()
    return len(missing) - len(failed), failed


def _readable(
    source: Source, indices: Sequence[int], failed: dict[str, str], progress: Progress
) -> Iterator[tuple[int, Image]]:
    """Yield the pictures; of separate ones those that can be read, and put the others down."""
    if not source.separate:
        yield from zip(indices, source.frames(indices), strict=True)
        return
    for index in indices:
        try:
            (image,) = source.frames([index])
        except DataError as error:
            failed[source.names[index]] = str(error)
            progress.say(f"left out: {error}")
            continue
        yield index, image


def _makes_a_clip(source: Source, output: Path) -> bool:
    """Return whether the pictures are consecutive and of one size."""
    if source.fps is None:
        return False
    overlays = (output / OVERLAYS / f"{name}.jpg" for name in source.names)
    return len({images.read_size(file) for file in overlays}) == 1


def _overlay_clip(source: Source, output: Path, clip: Path, progress: Progress) -> None:
    files = [output / OVERLAYS / f"{name}.jpg" for name in source.names]
    with progress.task(f"{source.title}: overlay clip", len(files)) as task:

        def pictures() -> Iterator[Image]:
            for file in files:
                yield images.decode(file)
                check_stop()
                task.advance()

        with replacing(clip, sync=False, alone=True) as part:
            write_clip(pictures(), part, source.fps or FPS)


def _jpeg(image: Image) -> bytes:
    from PIL import Image as Pillow

    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    with replacing(path, sync=False, alone=True) as part:
        part.write_bytes(data)
