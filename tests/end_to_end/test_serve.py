"""`mlflow models serve` in a folder without the project: the masks of `vidseg predict`."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.docs import pages
from tests.helpers.mlflow_fixtures import make_model
from vidseg.cli.main import main
from vidseg.tracking.model import _same_path, model_arguments

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    arguments = model_arguments(make_model(), tmp_path_factory.mktemp("parts"))
    with _same_path():
        mlflow.pyfunc.save_model(str(folder), **arguments)
    return folder


@pytest.fixture(scope="module")
def address(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server, with its own directory and without the project on its path."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    tools = Path(sys.executable).parent
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model)]
    server = subprocess.Popen(
        [*command, "--env-manager", "local", "--host", "127.0.0.1", "--port", port],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env={
            **clean,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": "600",  # a busy machine
        },
        start_new_session=True,
    )
    try:
        _wait(f"http://127.0.0.1:{port}/ping", server)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail("the server does not answer")


def ask(address: str, body: bytes) -> tuple[int, str]:
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def predicted(model: Path, file: Path, output: Path) -> Any:
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(model), str(file), "--output", str(output), "--quiet"])
    assert ended.value.code == 0
    return np.asarray(Image.open(output / "masks" / f"{file.stem}.png"))


@pytest.mark.parametrize("size", [(60, 90), (33, 47), (200, 120)])
def test_served_masks_are_the_predicted_ones(
    model: Path, address: str, tmp_path: Path, size: tuple[int, int]
) -> None:
    image = np.random.default_rng(1).integers(0, 255, (*size, 3), dtype=np.uint8)
    file = tmp_path / "a.png"
    Image.fromarray(image).save(file)
    expected = predicted(model, file, tmp_path / "out")
    as_documented: dict[str, Any] = {}
    (block,) = (b for b in pages.blocks(ROOT / "docs" / "models.md") if b.language == "python")
    exec(block.text, as_documented)
    mask, share = as_documented["ask"](file, address)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(mask))), expected)
    assert share == pytest.approx((expected > 0).mean())
    body = json.dumps({"dataframe_records": [{"image": image.tolist()}]}).encode()
    code, text = ask(address, body)
    assert code == 200
    mask = base64.b64decode(json.loads(text)["predictions"][0]["mask"])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(mask))), expected)


def test_bad_requests_are_answered_and_survived(address: str) -> None:
    def record(data: bytes) -> bytes:
        text = base64.b64encode(data).decode()
        return json.dumps({"dataframe_records": [{"image": text}]}).encode()

    for body, line in (
        (record(b"no image"), "image 0: cannot be decoded as an image"),
        (record(b""), "image 0: has 0 bytes"),
        (record(bytes(75_000_000)), "image 0: has 75000000 bytes"),  # 100 MB of base64
        (b"", "valid JSON"),
        (b"{}", "exactly one of the input fields"),
    ):
        code, text = ask(address, body)
        assert code == 400, text
        assert line in json.loads(text)["message"]
        assert len(text) < 2000  # never the request itself
    assert urllib.request.urlopen(address.replace("invocations", "ping")).status == 200
