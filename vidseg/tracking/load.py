"""Opens a model of vidseg by its address: of a run, of the registry, or of a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from vidseg.errors import DataError, UsageError
from vidseg.serving import predictor as served
from vidseg.tracking.store import connect, connect_existing, load_mlflow, translate_errors
from vidseg.utils.scratch import scratch

_ADDRESSES = "runs:/RUN_ID/model, models:/NAME/VERSION, models:/NAME@ALIAS or a model's folder"


def open_model(
    address: str,
    tracking_uri: str | None = None,
    *,
    device: str = "cpu",
    threads: int | None = None,
) -> tuple[served.Predictor, str]:
    """Return the model, and a hash of its content.

    Args:
        address: ``runs:/RUN_ID/model``, ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, another
            artifact URI, or the folder of a model.
        tracking_uri: as for :func:`vidseg.tracking.store.connect`; unused for folders.
        device, threads: where the extractor computes.

    Raises:
        UsageError: ``address`` is none of these.
        TrackingError: there is no such run or version, or the server does not answer.
        DataError: it is no model of vidseg; its backbone's weights are not found.
    """
    if Path(address).is_dir():
        return _open_folder(Path(address), address, device, threads)
    scheme = urlsplit(address).scheme
    if len(scheme) < 2:  # one letter is a drive
        raise UsageError(f"{address!r} is no model", where="MODEL", hint=f"give {_ADDRESSES}")
    with scratch() as folder:
        fetched = _fetch(_full(address), tracking_uri, str(folder))
        return _open_folder(fetched, address, device, threads)


def _full(address: str) -> str:
    """Add the model's name to the bare address of a run."""
    from vidseg.tracking.model import MODEL

    parts = address.removeprefix("runs:/").strip("/").split("/")
    bare = address.startswith("runs:/") and len(parts) == 1
    return f"runs:/{parts[0]}/{MODEL}" if bare else address


def _fetch(address: str, tracking_uri: str | None, folder: str) -> Path:
    """Download a model below ``folder``; return where it lies."""
    kept = urlsplit(address).scheme in ("runs", "models")
    uri = connect_existing(tracking_uri) if kept else connect(tracking_uri)
    mlflow = load_mlflow()
    with translate_errors(uri, f"give {_ADDRESSES}"):
        return Path(mlflow.artifacts.download_artifacts(address, dst_path=folder))


def _open_folder(
    folder: Path, address: str, device: str, threads: int | None
) -> tuple[served.Predictor, str]:
    head, description = (_artifact(folder, name, address) for name in ("head", "description"))
    predictor = served.load(head, description, device=device, threads=threads)
    digest = hashlib.sha256(head.read_bytes() + description.read_bytes()).hexdigest()
    return predictor, digest


def _artifact(folder: Path, name: str, address: str) -> Path:
    """Return a model's file, as its MLmodel says; never one outside of its folder."""
    try:
        content = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        file = folder / str(content["flavors"]["python_function"]["artifacts"][name]["path"])
        file.resolve().relative_to(folder.resolve())
        return file
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
        raise DataError(
            "is no model of vidseg", where=address, hint="give one that `vidseg run` logged"
        ) from error
