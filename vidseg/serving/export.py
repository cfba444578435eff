"""A fitted network as one ONNX file, checked against the network itself before it is there."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from vidseg import __version__
from vidseg.classifiers.networks.data import rounded_up
from vidseg.classifiers.networks.inference import FittedNetwork
from vidseg.classifiers.pyramid import Resize
from vidseg.errors import DataError, UsageError
from vidseg.serving.predictor import Predictor
from vidseg.types import Size
from vidseg.utils.files import replacing

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
"""What the extra ``vidseg[onnx]`` installs."""
INPUT, OUTPUT = "images", "scores"
"""Names in the file."""
TOLERANCE = 1e-3
"""Largest difference of a score that is let through, as a share of the scores' range."""
BATCHES = (1, 3)
"""Sizes of the batches that are compared."""


@dataclass(frozen=True)
class Exported:
    """A network that was written as an ONNX file.

    Attributes:
        file: the file.
        input, output: type and shape of what it takes and returns, such as
            ``uint8 (N, 240, 320, 3)``; N is any number of images.
        threshold: scores above it are foreground.
        difference: largest difference of a score from the network's own, in the check.
        nbytes: size of the file.
    """

    file: Path
    input: str
    output: str
    threshold: float
    difference: float
    nbytes: int


class Scorer(nn.Module):
    """A network with all around it: pictures in, scores out.

    Args:
        fitted: the network.
        seen: size of the pictures.
        size: size of the scores.
    """

    def __init__(self, fitted: FittedNetwork, seen: Size, size: Size) -> None:
        super().__init__()
        self.net, self.padded = fitted.net, bool(fitted.facts["padded"])
        self.seen, self.size = seen, size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return ``float32 (N, h, w)`` scores of ``uint8 (N, H, W, 3)`` RGB pictures."""
        pixels = images.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        scores: torch.Tensor
        if not self.padded:
            scores = self.net(pixels, self.size)
            return scores
        whole = rounded_up(self.seen, self.net.stride)
        below, right = whole.height - self.seen.height, whole.width - self.seen.width
        pixels = F.pad(pixels, (0, right, 0, below), mode="replicate")
        found = self.net(pixels, whole)[:, : self.seen.height, : self.seen.width]
        scores = Resize(self.seen, self.size).forward(found)
        return scores


def export_onnx(predictor: Predictor, file: Path, size: Size | None = None) -> Exported:
    """Write a network as an ONNX file.

    The file takes pictures of one size, as the network was trained on, any number at a time.

    Args:
        predictor: the model.
        file: replaced where it is there; written only when the check has passed.
        size: of the pictures, for a model of images at their native size.

    Raises:
        UsageError: a package is missing; the model is no network; ``size`` is missing, or is not
            the model's.
        DataError: the exporter refuses the network, or the file computes other scores.
        OSError: the file cannot be written.
    """
    require_packages()
    fitted = predictor.model
    if not isinstance(fitted, FittedNetwork):
        raise UsageError(
            "the model is no network that can be written as ONNX",
            where="export",
            hint="export one of vgg, fcn, unet or deep_unet; MLflow serves the others",
        )
    seen = _picture_size(predictor.image_size, size)
    fitted.net.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    scorer = Scorer(fitted, seen, predictor.mask_size).eval()
    content, difference = _checked(scorer, fitted, predictor)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        temporary.write_bytes(content)
    return Exported(
        file,
        f"uint8 (N, {seen.height}, {seen.width}, 3)",
        f"float32 (N, {predictor.mask_size.height}, {predictor.mask_size.width})",
        predictor.threshold,
        difference,
        len(content),
    )


def require_packages() -> None:
    """Refuse where a package of the extra is not installed.

    Raises:
        UsageError: names the packages, and what installs them.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"ONNX files need {' and '.join(missing)}, not installed here",
            where="export",
            hint="pip install 'vidseg[onnx]'",
        )


def _picture_size(own: Size | None, given: Size | None) -> Size:
    if own is None and given is None:
        raise UsageError(
            "the model takes images of any size, an ONNX file of one",
            where="export",
            hint="give --image-size WxH",
        )
    if own is not None and given not in (None, own):
        raise UsageError(
            f"the model sees images of {own}, not of {given}",
            where="--image-size",
            hint="leave it out",
        )
    found = own or given
    assert found is not None
    return found


def _checked(scorer: Scorer, fitted: FittedNetwork, predictor: Predictor) -> tuple[bytes, float]:
    """Return the file's content, and its largest difference from the network.

    Raises:
        DataError: the exporter refuses the network, or the file computes other scores.
    """
    images = _pictures(scorer.seen)
    # first: what the trace would cache must be made of real tensors
    expected = fitted.batch_scores(list(images), predictor.mask_size, "cpu")
    with torch.no_grad():
        scorer(torch.from_numpy(images))
    content = _traced(scorer, images, predictor.threshold)
    found = _run(content, images)
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE * max(1.0, float(np.ptp(expected))):
        raise DataError(
            f"the ONNX file's scores differ from the network's by up to {difference:.2g}",
            where="export",
            hint="report it with the extractor and the classifier; nothing was written",
        )
    return content, difference


def _pictures(size: Size) -> np.ndarray[Any, Any]:
    """Return random smooth pictures, ``uint8 (n, H, W, 3)``: as many as the largest batch."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (max(BATCHES), 3, 6, 8)))
    smooth = F.interpolate(coarse, tuple(size), mode="bicubic").clamp(0, 255)
    return smooth.permute(0, 2, 3, 1).to(torch.uint8).contiguous().numpy()


def _traced(scorer: Scorer, images: np.ndarray[Any, Any], threshold: float) -> bytes:
    """Return the ONNX file of a module, with the threshold in its metadata."""
    import onnx

    with _quiet():
        try:
            program = torch.onnx.export(
                scorer,
                (torch.from_numpy(images),),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={"images": {0: torch.export.Dim("N", min=1)}},
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"the network cannot be exported: {reason}", where="export") from error
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(
        model, {"threshold": repr(threshold), "vidseg": __version__, "colours": "RGB, 0..255"}
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _run(content: bytes, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the file's scores, computed in batches of several sizes, which must agree.

    Raises:
        DataError: an image's scores depend on its batch.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = [np.asarray(session.run([OUTPUT], {INPUT: images[:count]})[0]) for count in BATCHES]
    for scores in found[:-1]:
        if not np.allclose(scores, found[-1][: len(scores)], atol=TOLERANCE, rtol=TOLERANCE):
            raise DataError("the ONNX file's scores depend on the batch", where="export")
    return found[-1]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter prints and warns of from the terminal."""
    noisy = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [one.level for one in noisy]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for one in noisy:
            one.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for one, level in zip(noisy, before, strict=True):
                one.setLevel(level)
