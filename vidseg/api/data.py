"""Data sets, plugins and kept models, as a session in Python opens them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidseg.api.progress import showing
from vidseg.utils.paths import user_path
from vidseg.utils.progress import Progress

if TYPE_CHECKING:
    from vidseg.experiment.open import OpenDataset
    from vidseg.plugins import Plugin
    from vidseg.serving.export import Exported
    from vidseg.serving.predict import Prediction
    from vidseg.serving.predictor import Predictor
    from vidseg.types import Size


def open_dataset(
    dataset: str | dict[str, Any] | Sequence[str | dict[str, Any]],
    *,
    groups: str | Path | None = None,
    store: str | Path | None = None,
    progress: bool | Progress = False,
) -> OpenDataset:
    """Open a data set: its videos, their groups after the content check, and notes on it.

    Args:
        dataset: ``"mot:MOT16/train"``, or ``{"use": "mot", "path": ...}``; or a list of several.
        groups: CSV file (video,group) that says which videos are one scene.
        store: where what costs a decoding to find is kept.
        progress: as of :func:`vidseg.run`.

    Raises:
        VidsegError: what the data set refuses.
    """
    from vidseg import plugins
    from vidseg.experiment.open import open_dataset as opened
    from vidseg.store import Store

    spec = plugins.resolve_several("dataset", dataset, where="dataset")
    facts = Store(user_path(store) if store else None).fact_cache
    with showing(progress) as shown:
        file = None if groups is None else str(groups)
        return opened(spec, shown, facts, unanswered=True, groups=file)


def list_plugins(kind: str | None = None) -> list[Plugin]:
    """Return the installed plugins of one kind, or of all; none of them is imported.

    Raises:
        UsageError: there is no such kind.
    """
    from vidseg.errors import UsageError
    from vidseg.plugins import KINDS, available
    from vidseg.utils.suggest import did_you_mean

    if kind is not None and kind not in KINDS:
        hint = f"{did_you_mean(kind, KINDS)}choose {', '.join(KINDS)}"
        raise UsageError(f"there is no kind {kind!r}", hint=hint)
    return [plugin for one in KINDS if kind in (None, one) for plugin in available(one)]


def open_model(
    model: str | Path,
    *,
    tracking_uri: str | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Predictor:
    """Open a model that a run logged; ``predictor.mask(image)`` finds the mask of an image.

    Args:
        model: ``runs:/RUN_ID/model``, ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, or a
            model's folder.
        tracking_uri: MLflow store; None: ``MLFLOW_TRACKING_URI``, else ``sqlite:///mlflow.db``.
        device, threads: where its extractor computes.

    Raises:
        VidsegError: there is no such model, or its backbone's weights are not found.
    """
    return _open(model, tracking_uri, device, threads)[0]


def _open(
    model: str | Path, tracking_uri: str | None, device: str, threads: int | None
) -> tuple[Predictor, str]:
    from vidseg.experiment.config import choose_device
    from vidseg.tracking.load import open_model as load
    from vidseg.tracking.store import restored

    with restored():
        return load(str(model), tracking_uri, device=choose_device(device), threads=threads)


def predict(
    model: str | Path,
    inputs: str | Path | Sequence[str | Path],
    *,
    output: str | Path,
    threshold: float | None = None,
    fps: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    tracking_uri: str | None = None,
    fresh: bool = False,
    progress: bool | Progress = False,
) -> Prediction:
    """Find masks in new pictures with a model that a run logged; what is there is not done again.

    Args:
        model: as of :func:`open_model`.
        inputs: pictures, or one folder of them, or one clip.
        output: folder of masks, overlays and, for consecutive frames, a clip of the overlays.
        threshold: scores above it are foreground; None: the model's own.
        fps: frames per second of the overlay clip; None: the clip's, 25 for a folder.
        device, threads, tracking_uri: as of :func:`open_model`.
        fresh: replace a prediction that ``output`` holds.
        progress: as of :func:`vidseg.run`.

    Raises:
        VidsegError: what was refused, where, and what to do about it.
    """
    from vidseg.serving.predict import open_source
    from vidseg.serving.predict import predict as done

    paths = [inputs] if isinstance(inputs, str | Path) else inputs
    with showing(progress) as shown:
        source = open_source([user_path(path) for path in paths], fps)
        with shown.task("opening the model", None):
            predictor, digest = _open(model, tracking_uri, device, threads)
        return done(
            predictor,
            source,
            user_path(output),
            model={"address": str(model), "digest": digest},
            threshold=threshold,
            fresh=fresh,
            progress=shown,
        )


def export(
    model: str | Path,
    output: str | Path,
    *,
    image_size: str | Size | None = None,
    tracking_uri: str | None = None,
    progress: bool | Progress = False,
) -> Exported:
    """Write the network of a run as an ONNX file, checked against the network itself.

    Args:
        model: as of :func:`open_model`.
        output: the file; one that is there is replaced.
        image_size: of the pictures that it takes, ``"320x240"``; for a model of images at their
            native size alone.
        tracking_uri: as of :func:`open_model`.
        progress: as of :func:`vidseg.run`.

    Raises:
        VidsegError: what was refused, where, and what to do about it.
    """
    from vidseg.serving.export import export_onnx, require_packages
    from vidseg.types import Size as Pixels

    require_packages()
    size = Pixels.parse(image_size) if isinstance(image_size, str) else image_size
    with showing(progress) as shown:
        with shown.task("opening the model", None):
            predictor, _ = _open(model, tracking_uri, "cpu", None)
        with shown.task("writing and checking the ONNX file", None):
            return export_onnx(predictor, user_path(output), size)
