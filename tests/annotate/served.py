"""A small video of a moving patch, and clients of its annotation page without a browser."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.testclient import TestClient

from tests.helpers.moving import Moving, arc
from vidseg.annotate.server import create_app
from vidseg.annotate.session import Session, begin

LENGTH = 24
PORT = 8765
TOKEN = "token-of-the-test"
BOX = (10.0, 10.0, 36.0, 30.0)


def moving() -> Moving:
    return Moving(arc(LENGTH))


def make_pictures(folder: Path, length: int = LENGTH) -> Path:
    """Write the frames as PNG files; return the folder."""
    folder.mkdir(parents=True)
    for index, image in enumerate(moving().frames(range(length))):
        Image.fromarray(image).save(folder / f"{index:05d}.png")
    return folder


class Page:
    """One page: keeps the revision that it has seen."""

    def __init__(self, client: TestClient, name: str, video: int = 0) -> None:
        self.client, self.name, self.video = client, name, video
        self.revision = self.get()["revision"]

    def get(self, since: int = -1) -> Any:
        return self.client.get(f"/api/videos/{self.video}", params={"since": since}).json()

    def post(self, where: str, **fields: Any) -> Any:
        path = f"/api/videos/{self.video}/{where}"
        return self.client.post(path, json={"client": self.name, **fields})

    def edit(self, **edit: Any) -> Any:
        answer = self.post("edit", revision=self.revision, edit=edit)
        return self._seen(answer)

    def step(self, *, back: bool) -> Any:
        return self._seen(self.post("step", revision=self.revision, back=back))

    def _seen(self, answer: Any) -> Any:
        if answer.status_code == 200:
            self.revision = answer.json()["revision"]
        return answer


def client_of(session: Session, **headers: str) -> TestClient:
    address = f"http://127.0.0.1:{PORT}"
    app = create_app(session, TOKEN, PORT)
    return TestClient(app, base_url=address, headers={"x-vidseg-token": TOKEN, **headers})


@contextmanager
def session_of(video: Path, output: Path, **options: Any) -> Iterator[Session]:
    session = begin(video, output, **options)
    try:
        yield session
    finally:
        session.close()


class Running:
    """``vidseg annotate`` in a process of its own."""

    def __init__(self, video: Path, output: Path, *words: str) -> None:
        command = [sys.executable, "-m", "vidseg", "annotate", str(video), "--no-browser"]
        self.output = output
        self.process = subprocess.Popen(
            [*command, "--output", str(output), "--port", "0", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        lines = iter(self.process.stdout.readline, "")
        # a busy machine shows progress before the address
        self.said = next((line for line in lines if not line.startswith("reading")), "")
        self.url = self.said.removeprefix("page").strip()
        self.address, _, token = self.url.partition("/?token=")
        self._headers = {"x-vidseg-token": token, "content-type": "application/json"}

    def call(self, path: str, body: Any = None) -> Any:
        """Return the answer; raises OSError or HTTPException where the server is gone."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, self._headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; return the exit code and the rest of the output."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=60)
        return self.process.returncode, rest
