"""The data set and the model of a run, as MLflow keeps them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vidseg import __version__, plugins
from vidseg.errors import UsageError
from vidseg.experiment.records import DatasetRecord, ModelRecord, RunRecord
from vidseg.media.resize import resize
from vidseg.plugins.registry import PACKAGE
from vidseg.plugins.spec import parse
from vidseg.serving import predictor as served
from vidseg.tasks.base import Task
from vidseg.tasks.registry import find_task
from vidseg.tracking.store import load_mlflow, retry_conflicts, translate_errors
from vidseg.types import Image, Size
from vidseg.utils.scratch import scratch

if TYPE_CHECKING:
    from vidseg.tracking.run import OpenRun

MODEL = "model"
DIGEST = "vidseg.model_digest"
EXAMPLE_SIDE = 320

SERVING_PACKAGES = (
    "mlflow",
    "filelock",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "pandas",
    "pillow",
    "platformdirs",
    "psutil",
    "pydantic",
    "PyYAML",
    "safetensors",
    "scikit-learn",
    "scipy",
    "timm",
    "torch",
    "torchvision",
)
"""What a served model imports, those of them that are installed."""


def log_dataset(record: DatasetRecord, run: OpenRun) -> None:
    """Log the data set as the run's input, context ``train and test`` (every fold has both).

    Several data sets are as many inputs.

    Raises:
        TrackingError: the store refuses.
    """
    mlflow = load_mlflow()
    context = mlflow.entities.InputTag("mlflow.data.context", "train and test")
    inputs = [
        mlflow.entities.DatasetInput(_dataset(part, mlflow.entities), [context])
        for part in record.parts or [record]
    ]
    client = mlflow.MlflowClient(run.uri)
    with translate_errors(run.uri):
        retry_conflicts(lambda: client.log_inputs(run.run_id, inputs))


def _dataset(record: DatasetRecord, entities: Any) -> Any:
    rows = record.videos
    schema = {"mlflow_colspec": [{"name": n, "type": t, "required": True} for n, t in _columns()]}
    profile = {
        "num_rows": sum(int(row["frames"]) for row in rows),
        "videos": len(rows),
        "groups": len({row["group"] for row in rows}),
        "sequences": rows,
    }
    return entities.Dataset(
        name=record.name,
        digest=record.digest,
        source_type="vidseg",
        source=json.dumps({"spec": record.source}),
        schema=json.dumps(schema),
        profile=json.dumps(profile),
    )


def _columns() -> list[tuple[str, str]]:
    target = find_task().words.target
    return [("video", "string"), ("group", "string"), ("image", "binary"), (target, "binary")]


def log_model(record: RunRecord, run: OpenRun) -> str:
    """Log the model of a run as a pyfunc from code; return its id.

    A model of the same content that the run has already is kept. MLflow loads the logged files
    once, in this process, and predicts the input example. The model's step is the epoch of its
    weights, but not less than the number of folds: MLflow copies the metrics of that step to the
    model, and those of single folds are not its own.

    Raises:
        TrackingError: the store refuses.
    """
    assert record.model is not None
    mlflow = load_mlflow()
    digest = digest_of(record.model)
    with translate_errors(run.uri):
        known = find_model(mlflow.MlflowClient(run.uri), run, digest)
    if known is not None:
        return known
    with (
        scratch() as folder,
        _same_path(),
        translate_errors(run.uri),
        _activated(mlflow, run),
    ):
        info = mlflow.pyfunc.log_model(
            name=MODEL,
            **model_arguments(record.model, folder),
            step=max(len(record.folds), record.model.epoch or 0),
            tags={DIGEST: digest},
        )
    return str(info.model_id)


def register(model_id: str, name: str, run: OpenRun) -> str:
    """Make a logged model the newest version of a registered one; return ``models:/NAME/VERSION``.

    A name that is new is made; a model that is a version of it already stays that version.

    Raises:
        TrackingError: the registry refuses.
    """
    mlflow = load_mlflow()
    client, source = mlflow.MlflowClient(run.uri), f"models:/{model_id}"

    def make() -> None:
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)

    with translate_errors(run.uri):
        retry_conflicts(make)
        known = client.search_model_versions(f"name = '{name}'")
        version = next((v for v in known if v.source == source), None)
        if version is None:
            version = client.create_model_version(name, source, run.run_id, model_id=model_id)
    return f"models:/{name}/{version.version}"


def check_name(name: str) -> str:
    """Return a name for the registry.

    Raises:
        UsageError: it is empty, or holds what would end it in a model's address.
    """
    if name.strip() and not set(name) & set("/:@'"):
        return name
    raise UsageError(f"{name!r} is no name", where="--register", hint="leave out / : @ and quotes")


def model_arguments(model: ModelRecord, folder: Path) -> dict[str, Any]:
    """Return the arguments of ``pyfunc.log_model``; the files they name are made in ``folder``."""
    code = copy_package(folder / "code")
    head, description = served.save(model, folder)
    return {
        "python_model": str(code / "vidseg" / "tracking" / "pyfunc.py"),
        "artifacts": {"head": str(head), "description": str(description)},
        "code_paths": [str(code / "vidseg"), str(code / "pyproject.toml")],
        "signature": signature(model.threshold, find_task(model.task)),
        "input_example": (example(model.example), {"threshold": model.threshold}),
        "pip_requirements": pip_requirements(model),
        "metadata": {"classifier": model.classifier, "extractor": model.extractor},
    }


def find_model(client: Any, run: OpenRun, digest: str) -> str | None:
    """Return the id of the run's logged model of this content, None where it has none."""
    outputs = client.get_run(run.run_id).outputs
    for output in outputs.model_outputs if outputs else ():
        model = client.get_logged_model(output.model_id)
        if model.tags.get(DIGEST) == digest and str(model.status) == "READY":
            return str(model.model_id)
    return None


def digest_of(model: ModelRecord) -> str:
    """Return a hash over the head and the specs."""
    total = hashlib.sha256(
        f"{model.classifier} {model.extractor} {model.extractor_fingerprint} {model.image_size} "
        f"{model.mask_size} {model.threshold}".encode()
    )
    for name, array in sorted(model.state.items()):
        total.update(f"{name} {array.dtype} {array.shape}".encode())
        total.update(np.array(array, order="C").tobytes())
    return total.hexdigest()[:32]


@contextmanager
def _activated(mlflow: Any, run: OpenRun) -> Iterator[None]:
    """Make ``run`` the active one: MLflow gives a model to no other, nor to its experiment."""
    active = mlflow.active_run()
    if active is not None and active.info.run_id == run.run_id:
        yield
        return
    status = mlflow.MlflowClient(run.uri).get_run(run.run_id).info.status
    mlflow.start_run(run_id=run.run_id, nested=active is not None)
    try:
        yield
    finally:
        mlflow.end_run(status)


@contextmanager
def _same_path() -> Iterator[None]:
    """Keep ``sys.path``: loading the model for its check leaves a temporary folder there."""
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before


def copy_package(folder: Path) -> Path:
    """Copy this package into ``folder`` so that it works there uninstalled; return ``folder``.

    No caches. A ``pyproject.toml`` beside the copy declares the built-in plugins, as in a checkout.
    """
    caches = shutil.ignore_patterns("__pycache__", "*.py[co]", ".*")
    shutil.copytree(PACKAGE, folder / "vidseg", ignore=caches)
    lines = ["[project]", 'name = "vidseg"', f'version = "{__version__}"', ""]
    for kind in plugins.KINDS:
        own = [plugin for plugin in plugins.available(kind) if plugin.package == "vidseg"]
        lines += [f'[project.entry-points."vidseg.{kind}s"]']
        lines += [f'"{plugin.name}" = "{plugin.target}"' for plugin in own] + [""]
    (folder / "pyproject.toml").write_text("\n".join(lines), encoding="utf-8")
    return folder


def signature(threshold: float, task: Task) -> Any:
    """Return the schema that MLflow enforces: images in, what the task answers out.

    The image may be of any type, for MLflow has none that is base64 or an array; the model itself
    refuses what is neither.
    """
    load_mlflow()
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), "image")]),
        outputs=Schema([ColSpec(*one) for one in task.columns]),
        params=ParamSchema([ParamSpec("threshold", "double", float(threshold))]),
    )


def example(image: Image) -> Any:
    """Return a table with one JPEG, at most ``EXAMPLE_SIDE`` pixels a side."""
    import pandas as pd  # type: ignore[import-untyped]
    from PIL import Image as Pillow

    height, width = image.shape[:2]
    scale = min(1.0, EXAMPLE_SIDE / max(height, width))
    size = Size(max(1, round(height * scale)), max(1, round(width * scale)))
    buffer = io.BytesIO()
    Pillow.fromarray(resize(image, size)).save(buffer, "JPEG", quality=90)
    return pd.DataFrame({"image": [buffer.getvalue()]})


def pip_requirements(model: ModelRecord) -> list[str]:
    """Return pins of what serving imports, and of the packages that brought the model's plugins.

    Given, because MLflow would guess them by importing the model for seconds in a child process.
    Local version labels (``+cpu``) are dropped: package indexes do not have them.
    """
    pins = [_pin(name) for name in SERVING_PACKAGES if _installed(name)]
    for kind, spec in (("extractor", model.extractor), ("classifier", model.classifier)):
        plugin = plugins.find(kind, parse(spec).name)
        if plugin.package != "vidseg" and (pin := _pin(plugin.package)) not in pins:
            pins.append(pin)
    return pins


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _pin(name: str) -> str:
    return f"{name}=={importlib.metadata.version(name).partition('+')[0]}"
