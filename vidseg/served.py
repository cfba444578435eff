"""A fitted model as it is kept and served: two small files, and a function from image to mask.

Knows nothing of MLflow; ``mlflow_model.py`` wraps it. The two files are ``head.safetensors``
(the arrays of ``Model.export()``) and ``model.json`` (specs, sizes, threshold, fingerprint). A
local weights file of the extractor is named by its sha256 and found again by it.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg import plugins
from vidseg.classifiers.base import Model, Network
from vidseg.errors import DataError
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.extractors.weights import file_sha256
from vidseg.records import ModelRecord
from vidseg.specs import Spec
from vidseg.store.resize import resize
from vidseg.types import Image, Scores, Size

HEAD = "head.safetensors"
DESCRIPTION = "model.json"
FORMAT = 1

WEIGHTS_VARIABLE = "VIDSEG_WEIGHTS"
MAX_BYTES = 64 * 2**20
"""Longest encoded image that is decoded."""
MAX_PIXELS = 2**26
"""Largest image that is decoded: 8192x8192."""


def save(record: ModelRecord, folder: Path) -> tuple[Path, Path]:
    """Write ``head.safetensors`` and ``model.json`` into ``folder``; return their paths."""
    from safetensors.numpy import save_file

    head, description = folder / HEAD, folder / DESCRIPTION
    save_file({name: np.array(array, order="C") for name, array in record.state.items()}, head)
    size = record.image_size
    content = {
        "format": FORMAT,
        "classifier": record.classifier,
        "extractor": record.extractor,
        "extractor_fingerprint": record.extractor_fingerprint,
        "weights": record.weights,
        "image_size": None if size is None else str(size),
        "mask_size": str(record.mask_size),
        "threshold": record.threshold,
    }
    description.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return head, description


def load(head: Path, description: Path) -> Predictor:
    """Rebuild the model.

    Raises:
        DataError: a file is missing or not ours; the weights are not found; the extractor
            computes other features than the model was trained on.
        PluginError: a plugin of the model is not installed here.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        content = json.loads(description.read_text(encoding="utf-8"))
        state = load_file(head)
    except (OSError, ValueError, SafetensorError) as error:
        raise DataError(f"cannot be read: {error}", where=description.parent) from error
    if content.get("format") != FORMAT:
        raise DataError(
            f"has format {content.get('format')!r}, this vidseg reads {FORMAT}",
            where=description,
            hint="use the vidseg that made it",
        )
    handle = _extractor(content)
    classifier = plugins.create("classifier", content["classifier"], where="the model")
    size = content["image_size"]
    return Predictor(
        model=classifier.load(state, handle),
        extractor=FrozenExtractor(handle, levels=classifier.levels(handle)),
        image_size=None if size is None else Size.parse(size),
        mask_size=Size.parse(content["mask_size"]),
        threshold=float(content["threshold"]),
    )


def _extractor(content: dict[str, Any]) -> Any:
    spec = plugins.bind("extractor", content["extractor"], where="the model")
    if weights := content["weights"]:
        found = find_weights(weights["sha256"], Path(weights.get("path", "")))
        spec = Spec(spec.name, None, {**spec.params, "weights": str(found)})
    handle = plugins.create("extractor", spec, where="the model")
    if handle.fingerprint != content["extractor_fingerprint"]:
        raise DataError(
            f"the extractor {content['extractor']} computes other features here "
            f"(fingerprint {handle.fingerprint}) than the model was trained on "
            f"({content['extractor_fingerprint']})",
            hint="install the versions of the model's requirements.txt, use the same weights",
        )
    return handle


def find_weights(sha256: str, recorded: Path) -> Path:
    """Return a file with these bytes: where it was, or in what ``VIDSEG_WEIGHTS`` names.

    ``VIDSEG_WEIGHTS`` is a file or folders, separated as in ``PATH``; they are searched deeply,
    files of the recorded name first.

    Raises:
        DataError: there is none; names the hash, where it looked, and what to set.
    """
    for path in _places(recorded):
        if path.is_file() and file_sha256(path) == sha256:
            return path
    looked = os.environ.get(WEIGHTS_VARIABLE)
    raise DataError(
        f"no weights file with sha256 {sha256} ({recorded.name}); looked at {recorded}"
        + (f" and in {WEIGHTS_VARIABLE}={looked}" if looked else ""),
        where="the model's extractor",
        hint=f"set {WEIGHTS_VARIABLE} to that file or to a folder that holds it",
    )


def _places(recorded: Path) -> Iterator[Path]:
    yield recorded
    for named in filter(None, os.environ.get(WEIGHTS_VARIABLE, "").split(os.pathsep)):
        place = Path(named).expanduser()
        yield place
        found = sorted(place.rglob(f"*{recorded.suffix}")) if place.is_dir() else []
        yield from sorted(found, key=lambda path: path.name != recorded.name)


@dataclass
class Predictor:
    """A fitted model that takes images of any size.

    Attributes:
        model: the head or network.
        extractor: computes the features that the head was fitted on; unused by networks.
        image_size: what images are resized to; None: their own size.
        mask_size: size at which the model scores, as in its evaluation.
        threshold: scores above it are foreground.
    """

    model: Model
    extractor: FrozenExtractor
    image_size: Size | None
    mask_size: Size
    threshold: float

    def scores(self, image: Image) -> Scores:
        """Return the scores of an image at the IMAGE's size: ``float32 (H, W)``.

        The image is resized to ``image_size`` (by area when shrinking), scored at ``mask_size``
        as in the evaluation, and the scores are resized bilinearly.
        """
        import cv2

        seen = resize(image, self.image_size) if self.image_size else image
        if isinstance(self.model, Network):
            scores = self.model.image_scores(seen, self.mask_size)
        else:
            scores = self.model.scores(self.extractor.extract(seen), self.mask_size)
        height, width = image.shape[:2]
        if scores.shape == (height, width):
            return scores
        resized = cv2.resize(scores, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, np.float32)

    def mask(self, image: Image, threshold: float | None = None) -> npt.NDArray[np.bool_]:
        """Return where the image shows foreground: ``bool (H, W)`` at the image's size."""
        limit = self.threshold if threshold is None else threshold
        return np.asarray(self.scores(image) > limit)


def as_images(given: Iterable[Any]) -> Iterator[Image]:
    """Yield one ``uint8 (H, W, 3)`` image for each cell of an ``image`` column.

    A cell is an encoded image (bytes of PNG, JPEG...; text is taken as base64) or an array.

    Raises:
        DataError: names the row and what is wrong with it.
    """
    for row, cell in enumerate(given):
        where = f"image {row}"
        if isinstance(cell, np.ndarray):
            yield _checked(cell, where)
        elif isinstance(cell, bytes | bytearray | memoryview | str):
            yield decode(_bytes(cell, where), where)
        else:
            raise DataError(
                f"is {type(cell).__name__}, neither bytes nor an array",
                where=where,
                hint="give the encoded image (PNG, JPEG), as base64 in a served request",
            )


def _checked(array: npt.NDArray[Any], where: str) -> Image:
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size:
        return array
    raise DataError(
        f"is {array.dtype} {array.shape}", where=where, hint="give uint8 (height, width, 3), RGB"
    )


def _bytes(cell: bytes | bytearray | memoryview | str, where: str) -> bytes:
    """Return the encoded image; MLflow decodes base64 in some request formats and not in others.

    No image file is made of base64's letters only.
    """
    data = cell.encode() if isinstance(cell, str) else bytes(cell)
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        if isinstance(cell, str):
            raise DataError("is text but not base64", where=where, hint="encode the file") from None
        return data


def decode(data: bytes, where: str = "image") -> Image:
    """Decode an image file's bytes to ``uint8 (H, W, 3)`` RGB, upright as its EXIF data says.

    Raises:
        DataError: empty, not an image, truncated, 16 bits a channel, or larger than
            ``MAX_BYTES`` or ``MAX_PIXELS``.
    """
    from PIL import Image as Pillow
    from PIL import ImageOps

    if not 0 < len(data) <= MAX_BYTES:
        raise DataError(
            f"has {len(data)} bytes", where=where, hint=f"send an image of 1 to {MAX_BYTES} bytes"
        )
    try:
        with Pillow.open(io.BytesIO(data)) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS or picture.mode.startswith(("I", "F")):
                raise DataError(
                    f"is {width}x{height} in mode {picture.mode}",
                    where=where,
                    hint=f"send 8 bits a channel and at most {MAX_PIXELS} pixels",
                )
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError) as error:
        raise DataError(
            "cannot be decoded as an image", where=where, hint="send a whole PNG or JPEG file"
        ) from error
