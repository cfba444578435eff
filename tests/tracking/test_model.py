"""The logged model: loaded by MLflow where vidseg is not, enforced, logged once."""

from __future__ import annotations

import base64
import importlib.metadata
import io
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.helpers.mlflow_fixtures import make_model, make_record
from vidseg import plugins
from vidseg.errors import DataError, TrackingError, UsageError
from vidseg.serving import predictor as served
from vidseg.tracking import load
from vidseg.tracking import model as saving
from vidseg.tracking.log import log_run
from vidseg.tracking.run import OpenRun, open_run

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


def answer(model: Any, request: Any) -> Any:
    """What MLflow's scoring server answers to a JSON body: the masks, or the refusal."""
    import mlflow
    from mlflow.pyfunc import scoring_server

    body, schema = json.dumps(request), model.metadata.get_input_schema()
    refused: Any = None
    try:
        found = scoring_server.invocations(body, "application/json", model, schema)
    except mlflow.MlflowException as error:
        refused = error
    if refused is not None:
        assert refused.get_http_status_code() == 400
        return json.loads(refused.serialize_as_json())["message"]
    assert found.status == 200
    masks = [base64.b64decode(row["mask"]) for row in json.loads(found.response)["predictions"]]
    return [np.asarray(Image.open(io.BytesIO(mask))) > 0 for mask in masks]


@pytest.fixture(scope="module")
def pyfunc(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import mlflow

    folder = tmp_path_factory.mktemp("pyfunc")
    before = {name for name in sys.modules if name.partition(".")[0] == "vidseg"}
    arguments = saving.model_arguments(make_model(), tmp_path_factory.mktemp("parts"))
    with saving._same_path():
        mlflow.pyfunc.save_model(str(folder / "model"), **arguments)
        model = mlflow.pyfunc.load_model(str(folder / "model"))
    assert before <= set(sys.modules)
    return model


def requests_of(image: Any, text: str) -> list[dict[str, Any]]:
    """Every way to ask about one image, as base64 and as numbers."""
    return [
        form
        for cell in (text, image.tolist())
        for form in (
            {"dataframe_records": [{"image": cell}]},
            {"dataframe_split": {"columns": ["image"], "data": [[cell]]}},
            {"instances": [{"image": cell}]},
            {"instances": [cell]},
            {"inputs": [{"image": cell}]},
            {"inputs": {"image": [cell]}},
        )
    ]


def test_server_answers_base64_and_numbers_alike(pyfunc: Any, tmp_path: Path) -> None:
    expected = served.load(*served.save(make_model(), tmp_path)).mask(example())
    for request in requests_of(example(), as_base64(example())):
        (mask,) = answer(pyfunc, request)
        np.testing.assert_array_equal(mask, expected)


def test_server_answers_several_images(pyfunc: Any) -> None:
    small = example()[:30, :40]
    cells = [as_base64(example()), as_base64(small)]
    for request in ({"inputs": {"image": cells}}, {"instances": [{"image": c} for c in cells]}):
        assert [mask.shape for mask in answer(pyfunc, request)] == [(60, 90), (30, 40)]
    stack = np.stack([example(), example()])
    assert len(answer(pyfunc, {"inputs": {"image": stack.tolist()}})) == 2


def test_server_takes_a_threshold(pyfunc: Any) -> None:
    request = {"inputs": {"image": [as_base64(example())]}, "params": {"threshold": 1e9}}
    assert not answer(pyfunc, request)[0].any()
    request["params"] = {"threshold": float("nan")}
    assert answer(pyfunc, request) == "threshold: is not a number; leave it out, or give one"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("", "image 0: has 0 bytes"),
        (base64.b64encode(b"no image").decode(), "image 0: cannot be decoded as an image"),
        ("hello!", "image 0: is text but not base64"),
        (None, "image 0: is NoneType"),
        (3, "image 0: is int"),
        ([[1, 2], [3]], "image 0: has rows of different lengths"),
        ("A" * 100_000_000, "image 0: has 75000000 bytes; send an image of 1 to 67108864 bytes"),
    ],
)
def test_server_refuses_in_one_short_line(pyfunc: Any, cell: Any, text: str) -> None:
    refusal = answer(pyfunc, {"dataframe_records": [{"image": cell}]})
    assert refusal.startswith(text)
    assert len(refusal) < 200
    assert "\n" not in refusal


def as_base64(image: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_model_is_registered_once(tracking: str) -> None:
    import mlflow

    record = make_record()
    record.model = make_model()
    with open_run("vidseg", record.name) as run:
        assert log_run(record) is None
        assert log_run(record, register="walkers") == "models:/walkers/1"
        assert log_run(record, register="walkers") == "models:/walkers/1"
        record.model.threshold = 0.25
        assert log_run(record, register="walkers") == "models:/walkers/2"
        assert log_run(record, register="others") == "models:/others/1"
    versions = mlflow.MlflowClient().search_model_versions("name = 'walkers'")
    assert {version.run_id for version in versions} == {run.run_id}

    address = "models:/walkers/2"
    by_version, key = load.open_model(address, tracking)
    by_run, _ = load.open_model(f"runs:/{run.run_id}", tracking)
    assert by_version.threshold == by_run.threshold == 0.25
    assert key != load.open_model("models:/walkers/1", tracking)[1]
    mlflow.MlflowClient().set_registered_model_alias("walkers", "best", "2")
    assert load.open_model("models:/walkers@best", tracking)[1] == key

    for lost in ("models:/walkers/9", "models:/nobody/1", f"runs:/{'0' * 32}/model"):
        with pytest.raises(TrackingError, match=r"give runs:/RUN_ID/model"):
            load.open_model(lost, tracking)


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a@b", "it's"])
def test_names_that_the_registry_cannot_hold(name: str) -> None:
    with pytest.raises(UsageError, match="--register"):
        saving.check_name(name)


def test_addresses_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no model; give runs:/"):
        load.open_model("walkers")
    with pytest.raises(DataError, match="no model of vidseg"):
        load.open_model(str(tmp_path))
    absent = f"sqlite:///{tmp_path / 'absent.db'}"
    with pytest.raises(TrackingError, match="no such tracking store"):
        load.open_model("models:/a/1", absent)
    assert not list(tmp_path.iterdir())


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
    pins = saving.pip_requirements(make_model())
    names = [pin.partition("==")[0] for pin in pins]
    assert {"mlflow", "torch", "torchvision", "numpy", "pydantic", "safetensors"} <= set(names)
    assert len(names) == len(set(names))
    assert not [pin for pin in pins if "+" in pin]
    assert f"numpy=={importlib.metadata.version('numpy')}" in pins


def test_copied_package_declares_the_built_in_plugins(tmp_path: Path) -> None:
    copy = saving.copy_package(tmp_path / "code")
    declared = tomllib.loads((copy / "pyproject.toml").read_text())["project"]
    assert declared["name"] == "vidseg"
    for kind in plugins.KINDS:
        own = {p.name: p.target for p in plugins.available(kind) if p.package == "vidseg"}
        assert declared["entry-points"][f"vidseg.{kind}s"] == own
    copied = {path.relative_to(copy) for path in copy.rglob("*.py")}
    assert copied == {path.relative_to(ROOT) for path in (ROOT / "vidseg").rglob("*.py")}


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
        "dataset": ["mot:a=b"],
    }
    assert read("--fresh=no") == plain
    with pytest.raises(click.BadParameter, match="neither yes nor no"):
        read("--refit=maybe")
