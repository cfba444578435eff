"""The logged model: loaded by MLflow where vidseg is not, enforced, logged once."""

from __future__ import annotations

import base64
import importlib.metadata
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import ROOT
from tests.mlflow_fixtures import make_model, make_record
from vidseg import mlflow_save, plugins, served
from vidseg.mlflow_log import OpenRun, log_run, open_run

ELSEWHERE = """
import base64, io, json, sys
from pathlib import Path
# where vidseg is installed editable, its folder is on the path
sys.path = [p for p in sys.path if not (Path(p) / "vidseg" / "__init__.py").exists()]
import mlflow, pandas
image = base64.b64decode(sys.stdin.read())
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = model.predict(pandas.DataFrame({"image": [image]}))
try:
    model.predict(pandas.DataFrame({"image": [b"no image"]}))
except mlflow.MlflowException as error:
    refused = str(error)
import vidseg
row = rows.iloc[0].to_dict()
mask = base64.b64encode(row.pop("mask")).decode()
print(json.dumps({**row, "mask": mask, "refused": refused, "package": vidseg.__file__}))
"""


@pytest.fixture
def logged(tracking: str) -> Any:
    """The run of a record with a model."""
    import mlflow

    record = make_record()
    record.model = make_model()
    with open_run("vidseg", record.name) as run:
        log_run(record)
        log_run(record)
    return mlflow.MlflowClient().get_run(run.run_id)


def test_logged_model_works_where_vidseg_is_not(logged: Any, tmp_path: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    (output,) = logged.outputs.model_outputs  # logged twice, there once
    model = client.get_logged_model(output.model_id)
    scores = {metric.key: metric.value for metric in model.metrics}
    assert scores["test/iou"] == 0.5
    assert all(name.startswith("test/") for name in scores)

    folder = Path(mlflow.artifacts.download_artifacts(model.model_uri, dst_path=str(tmp_path)))
    assert not [path for path in folder.rglob("*") if "__pycache__" in path.parts]
    found = predict_elsewhere(folder, tmp_path)
    assert Path(found["package"]).is_relative_to(folder)
    assert "cannot be decoded" in found["refused"]
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["mask"]))))
    expected = served.load(*served.save(make_model(), tmp_path)).mask(example())
    np.testing.assert_array_equal(mask > 0, expected)
    assert (found["height"], found["width"]) == (60, 90)
    assert found["positive_share"] == pytest.approx(expected.mean())


def example() -> Any:
    return np.random.default_rng(5).integers(0, 255, (60, 90, 3), dtype=np.uint8)


def predict_elsewhere(folder: Path, cwd: Path) -> Any:
    """Predict in a process whose path and directory do not hold the project."""
    buffer = io.BytesIO()
    Image.fromarray(example()).save(buffer, "PNG")
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
    done = subprocess.run(
        [sys.executable, "-I", "-c", ELSEWHERE, str(folder)],
        input=base64.b64encode(buffer.getvalue()).decode(),
        env={**clean, "PYTHONDONTWRITEBYTECODE": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_another_head_is_logged_anew(logged: Any, tracking: str) -> None:
    import mlflow

    record = make_record()
    record.model = make_model()
    record.model.threshold = 0.25
    run = OpenRun(tracking, logged.info.experiment_id, logged.info.run_id)
    before = list(sys.path)
    log_run(record, run)
    assert sys.path == before
    again = mlflow.MlflowClient().get_run(run.run_id)
    assert len(again.outputs.model_outputs) == 2
    assert again.info.status == "FINISHED"
    assert mlflow.active_run() is None
    for output in again.outputs.model_outputs:
        model = mlflow.MlflowClient().get_logged_model(output.model_id)
        assert (model.experiment_id, model.source_run_id) == (run.experiment_id, run.run_id)


def test_requirements_are_exact_and_installable() -> None:
    pins = mlflow_save.pip_requirements(make_model())
    names = [pin.partition("==")[0] for pin in pins]
    assert {"mlflow", "torch", "torchvision", "numpy", "pydantic", "safetensors"} <= set(names)
    assert len(names) == len(set(names))
    assert not [pin for pin in pins if "+" in pin]
    assert f"numpy=={importlib.metadata.version('numpy')}" in pins


def test_copied_package_declares_the_built_in_plugins(tmp_path: Path) -> None:
    copy = mlflow_save.copy_package(tmp_path / "code")
    declared = tomllib.loads((copy / "pyproject.toml").read_text())["project"]
    assert declared["name"] == "vidseg"
    for kind in plugins.KINDS:
        own = {p.name: p.target for p in plugins.available(kind) if p.package == "vidseg"}
        assert declared["entry-points"][f"vidseg.{kind}s"] == own
    copied = {path.relative_to(copy) for path in copy.rglob("*.py")}
    assert copied == {path.relative_to(ROOT) for path in (ROOT / "vidseg").rglob("*.py")}


def test_conda_environment_has_the_bounds_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())
    *plain, pip = conda["dependencies"]
    assert sorted(pip["pip"]) == sorted(project["dependencies"])
    assert plain == ["python=3.11", "pip"]
    assert conda["channels"] == ["conda-forge", "nodefaults"]


def test_project_passes_every_option_of_run_on() -> None:
    from vidseg.cli.run import run

    project = yaml.safe_load((ROOT / "MLproject").read_text())
    assert project["conda_env"] == "conda.yaml"
    assert "python_env" not in project
    # These belong to `mlflow run`, which has made the run before vidseg starts.
    elsewhere = {"--experiment", "--run-name", "--tracking-uri", "--help"}
    options = {name for param in run.params for name in param.opts if name.startswith("--")}
    main, same = project["entry_points"]["main"], project["entry_points"]["run"]
    assert main == same
    passed = dict(re.findall(r"(--[\w-]+)=\{(\w+)\}", main["command"]))
    assert set(passed) == options - elsewhere
    assert set(passed.values()) == set(main["parameters"])
    assert all(p == {"type": "string", "default": ""} for p in main["parameters"].values())


def test_empty_options_are_absent_and_flags_take_words() -> None:
    import click

    from vidseg.cli.run import run

    def read(*arguments: str) -> dict[str, Any]:
        with run.make_context("run", list(arguments)) as context:
            return context.params

    plain = read()
    assert read("--seed=", "--refit=", "--fresh=", "--dataset=", "--config=") == plain
    assert read("--seed=3", "--refit=no", "--fresh=yes", "--dataset=mot:a=b") == plain | {
        "seed": 3,
        "refit": False,
        "fresh": True,
        "dataset": "mot:a=b",
    }
    assert read("--fresh=no") == plain
    with pytest.raises(click.BadParameter, match="neither yes nor no"):
        read("--refit=maybe")
