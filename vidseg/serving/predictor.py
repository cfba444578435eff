"""A fitted model as it is kept and served: two small files, and a function from image to mask.

Knows nothing of MLflow; ``tracking/pyfunc.py`` wraps it. The two files are ``head.safetensors``
(the arrays of ``Model.export()``) and ``model.json`` (specs, sizes, threshold, fingerprint). A
local weights file of the extractor is named by its sha256 and found again by it.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg import plugins
from vidseg.classifiers.load import load_model
from vidseg.errors import DataError
from vidseg.experiment.records import ModelRecord
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.media.resize import resize
from vidseg.plugins.spec import Spec
from vidseg.store import weights as backbones
from vidseg.tasks.base import Output, Task
from vidseg.tasks.registry import DEFAULT, find_task
from vidseg.types import Image, Model, Network, Scores, Size

HEAD = "head.safetensors"
DESCRIPTION = "model.json"
FORMAT = 1

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
        "weights": backbones.described(record.weights),
        "image_size": None if size is None else str(size),
        "mask_size": str(record.mask_size),
        "threshold": record.threshold,
        "task": record.task,
    }
    description.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return head, description


def load(
    head: Path, description: Path, *, device: str = "cpu", threads: int | None = None
) -> Predictor:
    """Rebuild the model.

    Args:
        head, description: the files that :func:`save` wrote.
        device, threads: where the extractor computes; threads None: what torch has now.

    Raises:
        DataError: a file is missing or not ours; its numbers are not finite or of another dtype;
            the weights are not found; the extractor computes other features than the model was
            trained on.
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
    classifier = plugins.create("classifier", content["classifier"], where="the model")
    handle = _extractor(content, own=getattr(classifier, "holds_extractor", False))
    size = content["image_size"]
    levels = classifier.levels(handle)
    return Predictor(
        model=load_model(classifier, state, handle, where=head),
        extractor=FrozenExtractor(handle, device=device, threads=threads, levels=levels),
        image_size=None if size is None else Size.parse(size),
        mask_size=Size.parse(content["mask_size"]),
        threshold=float(content["threshold"]),
        task=find_task(content.get("task", DEFAULT)),
    )


def _extractor(content: dict[str, Any], *, own: bool) -> Any:
    """Return the extractor of a model.

    Args:
        content: of ``model.json``.
        own: the model holds the extractor's weights, so that those it was trained from are not
            looked for.
    """
    spec = plugins.bind("extractor", content["extractor"], where="the model")
    if own and "weights" in spec.params:
        blank = Spec(spec.name, None, {**spec.params, "weights": "random"})
        return plugins.create("extractor", blank, where="the model")
    handle = plugins.create("extractor", _with_weights(spec, content["weights"]), where="the model")
    if handle.fingerprint != content["extractor_fingerprint"]:
        raise DataError(
            f"the extractor {content['extractor']} computes other features here "
            f"(fingerprint {handle.fingerprint}) than the model was trained on "
            f"({content['extractor_fingerprint']})",
            hint="install the versions of the model's requirements.txt, use the same weights",
        )
    return handle


def _with_weights(spec: Spec, weights: dict[str, Any]) -> Spec:
    """Return the extractor's spec with the file that has the recorded weights.

    What the extractor fetches by itself (``weights=imagenet``) it may fetch again.
    """
    if not weights:
        return spec
    try:
        found = backbones.find(weights["sha256"], Path(weights["path"]), weights.get("bytes"))
    except DataError as lost:
        if spec.params.get("weights", "imagenet") != "imagenet":
            raise
        try:
            _ = plugins.create("extractor", spec, where="the model").fingerprint
        except DataError as error:
            raise DataError(
                f"{lost.what}, and {error.what}", where=lost.where, hint=lost.hint
            ) from error
        return spec
    return Spec(spec.name, None, {**spec.params, "weights": str(found)})


@dataclass
class Predictor:
    """A fitted model that takes images of any size.

    Attributes:
        model: the head or network.
        extractor: computes the features that the head was fitted on; unused by networks.
        image_size: what images are resized to; None: their own size.
        mask_size: size at which the model scores, as in its evaluation.
        threshold: scores above it are foreground.
        task: what is decided from scores, and how it is drawn and written.
    """

    model: Model = field(repr=False)
    extractor: FrozenExtractor = field(repr=False)
    image_size: Size | None
    mask_size: Size
    threshold: float
    task: Task = field(repr=False)

    def scores(self, image: Image) -> Scores:
        """Return the scores of an image at the IMAGE's size: ``float32 (H, W)``.

        The image is resized to ``image_size`` (by area when shrinking), scored at ``mask_size``
        as in the evaluation, and the scores are resized bilinearly.
        """
        import cv2

        seen = resize(image, self.image_size) if self.image_size else image
        if isinstance(self.model, Network):
            device = str(self.extractor.device)
            scores: Scores = self.model.batch_scores([seen], self.mask_size, device)[0]
        else:
            scores = self.model.scores(self.extractor.extract(seen), self.mask_size)
        height, width = image.shape[:2]
        if scores.shape == (height, width):
            return scores
        resized = cv2.resize(scores, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, np.float32)

    def mask(self, image: Image, threshold: float | None = None) -> Output:
        """Return where the image shows foreground: ``bool (H, W)`` at the image's size.

        Raises:
            DataError: ``threshold`` is not a number.
        """
        limit = self.threshold if threshold is None else threshold
        if limit != limit:
            raise DataError("is not a number", where="threshold", hint="leave it out, or give one")
        return self.task.decide(self.scores(image), limit)


def as_images(given: Iterable[Any]) -> Iterator[Image]:
    """Yield one ``uint8 (H, W, 3)`` image for each cell of an ``image`` column.

    A cell is an encoded image (bytes of PNG, JPEG...; text is taken as base64), an array, or the
    nested lists that JSON has for one.

    Raises:
        DataError: names the row and what is wrong with it.
    """
    for row, cell in enumerate(given):
        where = f"image {row}"
        if isinstance(cell, np.ndarray):
            yield _checked(cell, where)
        elif isinstance(cell, list):
            yield _checked(_array(cell, where), where)
        elif isinstance(cell, bytes | bytearray | memoryview | str):
            yield decode(_bytes(cell, where), where)
        else:
            raise DataError(
                f"is {type(cell).__name__}, neither bytes nor an array",
                where=where,
                hint="give the encoded image (PNG, JPEG), as base64 in a served request",
            )


def _array(cell: list[Any], where: str) -> npt.NDArray[Any]:
    """Return nested lists as the smallest array: whole numbers from 0 to 255 become uint8."""
    try:
        array = np.asarray(cell)
    except ValueError as error:
        raise DataError(
            "has rows of different lengths", where=where, hint="give height x width x 3 numbers"
        ) from error
    whole = np.issubdtype(array.dtype, np.integer) and array.size
    fits = whole and array.min() >= 0 and array.max() <= 255
    return array.astype(np.uint8) if fits else array


def _checked(array: npt.NDArray[Any], where: str) -> Image:
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size:
        return array
    raise DataError(
        f"is {array.dtype} {array.shape}", where=where, hint="give uint8 (height, width, 3), RGB"
    )


def _bytes(cell: bytes | bytearray | memoryview | str, where: str) -> bytes:
    """Return the encoded image; base64 may come as text or as bytes.

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
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        Pillow.DecompressionBombError,
    ) as error:
        raise DataError(
            "cannot be decoded as an image", where=where, hint="send a whole PNG or JPEG file"
        ) from error
