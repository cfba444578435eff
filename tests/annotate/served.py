"""A small video of a moving patch, and clients of its annotation page without a browser."""

from __future__ import annotations

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
