"""The trackers of the installed OpenCV: MIL, Nano, Vit, DaSiamRPN; CSRT and KCF of contrib.

``opencv-python`` has those that the project keeps in its main modules. CSRT, KCF and the legacy
ones come with ``opencv-contrib-python``, which must not be installed beside ``opencv-python``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from vidseg.errors import DataError, UsageError
from vidseg.types import Box, Image
from vidseg.utils.paths import user_path
from vidseg.utils.suggest import did_you_mean

MODELS = {
    "DaSiamRPN": ("model", "kernel_cls1", "kernel_r1"),
    "Nano": ("backbone", "neckhead"),
    "Vit": ("net",),
    "GOTURN": ("modelTxt", "modelBin"),
}
"""Trackers that need model files: the fields that name them, in the order of ``model``."""

_CONTRIB = ("CSRT", "KCF", "MOSSE", "MedianFlow", "TLD", "Boosting")


class OpenCv:
    """Follow an object by a tracker of the installed OpenCV.

    The confidence is the tracker's own score where it has one, else 1 while it says that it has the
    object.

    Args:
        name: MIL, Nano, Vit or DaSiamRPN; CSRT, KCF and others where opencv-contrib-python is
            installed instead of opencv-python.
        model: files of a network, in OpenCV's order: Nano needs backbone and neckhead, Vit one,
            DaSiamRPN three (model, kernel_cls1, kernel_r1).
    """

    contract: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("cv2",)

    def __init__(self, name: str = "MIL", model: tuple[str, ...] = ()) -> None:
        self._kind, self._make = _find(name)
        self._files = _model_files(self._kind, model)
        self._tracker: Any = None

    def start(self, image: Image, box: Box) -> None:
        """Learn the object; OpenCV takes whole pixels inside the frame.

        Raises:
            DataError: a model file cannot be read.
        """
        rows, columns = image.shape[:2]
        left, top = max(0, round(box[0])), max(0, round(box[1]))
        right = min(columns, round(box[0] + box[2]))
        bottom = min(rows, round(box[1] + box[3]))
        self._tracker = self._made()
        self._tracker.init(image, (left, top, max(1, right - left), max(1, bottom - top)))

    def update(self, image: Image) -> tuple[Box, float]:
        """Return where the object is; NaN where OpenCV has lost it."""
        import cv2

        try:
            found, box = self._tracker.update(image)
        except cv2.error:
            found, box = False, ()
        if not found:
            return (float("nan"),) * 4, 0.0
        left, top, width, height = (float(side) for side in box)
        score = getattr(self._tracker, "getTrackingScore", None)
        return (left, top, width, height), float(score()) if score else 1.0

    def _made(self) -> Any:
        import cv2

        try:
            if not self._files:
                return self._make()
            params = getattr(cv2, f"Tracker{self._kind}_Params")()
            for field, file in zip(MODELS[self._kind], self._files, strict=True):
                setattr(params, field, str(file))
            return self._make(params)
        except cv2.error as error:
            raise DataError(
                f"OpenCV cannot make the tracker ({_reason(error)})",
                where=f"tracker opencv:{self._kind}",
                hint="fetch its model files again" if self._files else "choose another",
            ) from error


def offered() -> dict[str, Any]:
    """Return what makes each tracker of the installed OpenCV, by name."""
    import cv2

    ending = "_create"
    return {
        name.removeprefix("Tracker").removesuffix(ending): getattr(module, name)
        for module in (getattr(cv2, "legacy", None), cv2)
        if module is not None
        for name in dir(module)
        if name.startswith("Tracker") and name.endswith(ending)
    }


def _find(name: str) -> tuple[str, Any]:
    known = offered()
    for each, make in known.items():
        if each.lower() == name.lower():
            return each, make
    if name.lower() in {each.lower() for each in _CONTRIB}:
        hint = (
            "it comes with opencv-contrib-python, in an environment of its own: it must not stand "
            "beside opencv-python"
        )
    else:
        hint = did_you_mean(name, known) + f"it has {', '.join(known)}"
    raise UsageError(
        f"the installed OpenCV has no tracker {name!r}", where="tracker opencv", hint=hint
    )


def _model_files(kind: str, given: tuple[str, ...]) -> tuple[Path, ...]:
    wanted = MODELS.get(kind, ())
    where = f"tracker opencv:{kind}"
    if len(given) != len(wanted):
        needs = f"needs {len(wanted)} model files" if wanted else "takes no model file"
        hint = "give " + ",".join(f"model={each}.onnx" for each in wanted) if wanted else ""
        raise UsageError(f"{needs}, {len(given)} are given", where=where, hint=hint)
    files = tuple(user_path(file) for file in given)
    for file in files:
        if not file.is_file():
            raise DataError("no such model file", where=file, hint=f"{where} needs it")
    return files


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
