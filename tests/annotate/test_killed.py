"""The server as a process: killed at any moment nothing that was acknowledged is lost."""

from __future__ import annotations

import http.client
import random
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.annotate.served import LENGTH, Running, make_pictures
from vidseg.annotate.serve import listen
from vidseg.datasets.annotation_file import read_annotation
from vidseg.errors import UsageError


class Editing:
    """A scripted session: what was acknowledged, and the one edit whose answer did not come."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.keys: dict[int, dict[int, list[float]]] = {}
        self.finished: set[int] = set()
        self.open: dict[str, Any] | None = None
        self.count = 0

    def run(self, server: Running, delay: float) -> None:
        """Edit until the server is killed, some seconds after the first edit."""
        revision = server.call("/api/videos/0")["revision"]
        timer = threading.Timer(delay, server.process.kill)
        timer.start()
        try:
            while True:
                edit = self._edit()
                self.open = edit
                body = {"client": "script", "revision": revision, "edit": edit}
                revision = server.call("/api/videos/0/edit", body)["revision"]
                self._acknowledged(edit)
        except (OSError, http.client.HTTPException):
            timer.join()
            server.process.wait(60)
        assert server.process.stdout is not None
        server.process.stdout.close()

    def check(self, folder: Path) -> None:
        """Compare with what is on the disk, but for the edit that was open."""
        held = read_annotation(folder)
        open_edit = self.open or {}
        for number, keys in self.keys.items():
            for frame, box in keys.items():
                found = list(held.objects[number].keys[frame] or ())
                if (open_edit.get("id"), open_edit.get("frame")) == (number, frame):
                    assert found in (box, open_edit["box"])
                else:
                    assert found == box
        assert held.finished >= self.finished

    def take_over(self, folder: Path) -> None:
        """Count the open edit as acknowledged where it was written before the kill."""
        edit, held = self.open, read_annotation(folder)
        if edit is None:
            return
        if edit["op"] == "object":
            written = edit["object"]["id"] in held.objects
        elif edit["op"] == "key":
            written = held.objects[edit["id"]].keys.get(edit["frame"]) == tuple(edit["box"])
        else:
            written = edit["frames"][0][0] in held.finished
        if written:
            self._acknowledged(edit)

    def _edit(self) -> dict[str, Any]:
        box = [float(self._random.randrange(100)), 5.0, 30.0 + self.count % 7, 30.0]
        if not self.keys or self._random.random() < 0.2:
            number = len(self.keys) + 1
            return {"op": "object", "object": {"id": number, "keys": {0: box}}}
        frame = self._random.randrange(LENGTH)
        if self._random.random() < 0.2:
            return {"op": "finished", "frames": [[frame, frame]]}
        return {"op": "key", "id": self._random.choice([*self.keys]), "frame": frame, "box": box}

    def _acknowledged(self, edit: dict[str, Any]) -> None:
        self.count += 1
        self.open = None
        if edit["op"] == "object":
            self.keys[edit["object"]["id"]] = dict(edit["object"]["keys"])
        elif edit["op"] == "finished":
            self.finished.add(edit["frames"][0][0])
        else:
            self.keys[edit["id"]][edit["frame"]] = edit["box"]


def killed(tmp_path: Path, times: int) -> None:
    video = make_pictures(tmp_path / "street")
    script, moments = Editing(5), random.Random(11)
    for _ in range(times):
        before = script.count
        server = Running(video, tmp_path / "out")
        script.run(server, moments.uniform(0.05, 1.0))
        script.check(tmp_path / "out" / "street")
        assert script.count > before
        script.take_over(tmp_path / "out" / "street")


def test_killed_twice_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    killed(tmp_path, 2)


@pytest.mark.slow
def test_killed_at_twenty_moments_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    killed(tmp_path, 20)


def test_a_second_server_is_told_and_a_signal_ends_the_first(tmp_path: Path) -> None:
    video = make_pictures(tmp_path / "street")
    server = Running(video, tmp_path / "out")
    second = Running(video, tmp_path / "out")
    assert "is being edited by another process" in second.said
    assert second.process.wait(60) == 1
    code, said = server.end(signal.SIGTERM)
    assert code == 0
    assert "annotated:" in said
    assert "Traceback" not in said


def test_a_port_that_is_taken_is_named_and_without_one_the_next_is_taken() -> None:
    with listen(None) as first, listen(None) as second:
        taken, other = first.getsockname(), second.getsockname()
        assert taken[0] == "127.0.0.1"
        assert taken[1] < other[1]
        with pytest.raises(UsageError, match=rf"port {taken[1]}: is taken by another program"):
            listen(taken[1])
