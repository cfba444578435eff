"""The page's server: who is let in, what is refused, and that no change is lost."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.annotate.served import BOX, LENGTH, PORT, TOKEN, Page, client_of, make_pictures, moving
from tests.annotate.served import session_of as opened
from vidseg.annotate.guard import MOST_BYTES
from vidseg.annotate.server import create_app
from vidseg.annotate.session import Session
from vidseg.datasets.annotation_file import read_annotation
from vidseg.types import labelled_frames

HERE = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("video") / "street")


@pytest.fixture
def session(pictures: Path, tmp_path: Path) -> Iterator[Session]:
    with opened(pictures, tmp_path / "out") as found:
        yield found


@pytest.fixture
def page(session: Session) -> Page:
    return Page(client_of(session), "first")


def record(number: int, **fields: Any) -> dict[str, Any]:
    return {"op": "object", "object": {"id": number, **fields}}


def drawn(page: Page, **fields: Any) -> None:
    assert page.edit(**record(1, name="car", keys={0: BOX}), **fields).status_code == 200


def settle(session: Session) -> None:
    assert session.open(0).filler.wait(60)


# who is let in


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/session", "/api/videos/0"])
def test_without_the_token_nothing_is_served(session: Session, path: str) -> None:
    bare = TestClient(create_app(session, TOKEN, PORT), base_url=HERE)
    answer = bare.get(path)
    assert answer.status_code == 403
    assert "street" not in answer.text
    assert bare.get(path, headers={"x-vidseg-token": "other"}).status_code == 403
    assert bare.get(path, headers={"cookie": "vidseg-8765=no"}).status_code == 403


def test_the_token_of_the_address_becomes_a_cookie(session: Session) -> None:
    bare = TestClient(create_app(session, TOKEN, PORT), base_url=HERE)
    answer = bare.get("/", params={"token": TOKEN}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=Strict" in answer.headers["set-cookie"]
    found = bare.get("/")
    assert found.status_code == 200
    assert "script-src 'self'" in found.headers["content-security-policy"]
    assert bare.get("/api/session").json()["videos"][0]["name"] == "street"
    assert bare.get("/api/session", params={"token": "x"}).status_code == 200


@pytest.mark.parametrize("headers", [{"origin": "http://elsewhere"}, {"host": "evil.example"}])
def test_another_page_is_refused(session: Session, headers: dict[str, str]) -> None:
    client = client_of(session, **headers)
    assert client.get("/api/session").status_code == 403
    answer = client.post("/api/videos/0/edit", json={})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/page/../server.py", "/page/..%2fserver.py", "/page/%2e%2e/%2e%2e/errors.py", "/etc/passwd"],
)
def test_no_path_leaves_the_page(session: Session, path: str) -> None:
    answer = client_of(session).get(path)
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_a_huge_body_is_refused_before_it_is_read(session: Session) -> None:
    client = client_of(session)
    size = {"content-length": str(2**30)}
    assert client.post("/api/videos/0/edit", content=b"{}", headers=size).status_code == 413
    assert client.get("/api/videos/0").status_code == 200


def test_no_more_of_a_body_is_read_than_the_limit(session: Session) -> None:
    import asyncio

    app = create_app(session, TOKEN, PORT)
    read, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 2**20
        return {"type": "http.request", "body": b" " * 2**20, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", HERE[7:].encode()), (b"x-vidseg-token", TOKEN.encode())]
    scope = {"type": "http", "method": "POST", "path": "/api/videos/0/edit"}
    asyncio.run(app(scope | {"headers": headers, "query_string": b""}, receive, send))
    assert sent[0]["status"] == 413
    assert read <= MOST_BYTES + 2 * 2**20


# frames


def test_frames_are_those_of_the_video(page: Page) -> None:
    import io

    import numpy as np
    from PIL import Image

    key = page.get()["video"]["key"]
    truth = np.stack(list(moving().frames(range(LENGTH)))).astype(int)
    for index in (0, 7, LENGTH - 1):
        answer = page.client.get(f"/api/videos/0/frames/{key}/{index}")
        assert "immutable" in answer.headers["cache-control"]
        shown = np.asarray(Image.open(io.BytesIO(answer.content)))
        assert np.abs(truth - shown).mean(axis=(1, 2, 3)).argmin() == index
        tag = {"if-none-match": answer.headers["etag"]}
        assert (
            page.client.get(f"/api/videos/0/frames/{key}/{index}", headers=tag).status_code == 304
        )
    for wrong in (f"{key}/{LENGTH}", f"{key}/-1", "other/0"):
        assert page.client.get(f"/api/videos/0/frames/{wrong}").status_code == 404


@pytest.mark.parametrize("shape", ["box", "ellipse", "grabcut"])
def test_the_preview_is_the_mask(page: Page, shape: str) -> None:
    import io

    import numpy as np
    from PIL import Image

    drawn(page)
    answer = page.client.get("/api/videos/0/mask/0", params={"shape": shape})
    alpha = np.asarray(Image.open(io.BytesIO(answer.content)))[..., 3]
    assert alpha.shape == (120, 200)
    assert alpha[25, 28] > 0
    assert alpha[:, :10].max() == 0
    assert (alpha[10:40, 10:46] > 0).all() == (shape == "box")


# edits


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((500, 10, 5, 5), "outside"),
        ((-20, 10, 20, 5), "outside"),
        ((1, 1, 0, 5), "width"),
        ((1, 1, 5, -1), "width"),
        ((math.nan, 1, 5, 5), "finite"),
        ((1, math.inf, 5, 5), "finite"),
        ((1, 2, 3), "required"),
    ],
)
def test_a_box_that_is_none_is_refused(page: Page, box: tuple[float, ...], said: str) -> None:
    drawn(page)
    for edit in (
        {"op": "key", "id": 1, "frame": 3, "box": box},
        record(2, keys={0: box}),
        {"op": "region", "region": {"id": 1, "box": box, "first": 0, "last": 3}},
        {"op": "batch", "edits": [{"op": "key", "id": 1, "frame": 3, "box": box}]},
    ):
        body = {"client": "first", "revision": page.revision, "edit": edit}
        answer = page.client.post(
            "/api/videos/0/edit",
            content=json.dumps(body),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 422
        assert said in answer.json()["error"]
        assert "Value error" not in answer.json()["error"]
    assert set(page.get()["objects"][0]["keys"]) == {"0"}


@pytest.mark.parametrize(
    "edit",
    [
        {"op": "key", "id": 9, "frame": 0, "box": BOX},
        {"op": "key", "id": 1, "frame": LENGTH, "box": BOX},
        {"op": "key", "id": 1, "frame": -1, "box": BOX},
        {"op": "nothing"},
        {"op": "settings", "settings": {"tracker": "no-such-tracker"}},
        {"op": "settings", "settings": {"every": 0}},
        {"op": "settings", "settings": {"other": 1}},
        {"op": "batch", "edits": [{"op": "batch", "edits": []}]},
    ],
)
def test_an_edit_that_does_not_fit_changes_nothing(page: Page, edit: dict[str, Any]) -> None:
    drawn(page)
    before = page.get()
    answer = page.edit(**edit)
    assert answer.status_code == 422
    assert answer.json()["error"]
    after = page.get()
    assert (before["classes"], before["settings"]) == (after["classes"], after["settings"])
    assert [one["keys"] for one in before["objects"]] == [one["keys"] for one in after["objects"]]


def test_edits_nested_without_end_are_refused(page: Page) -> None:
    text = '{"op":"batch","edits":[' * 5000 + "]}" * 5000
    body = f'{{"client":"a","revision":0,"edit":{text}}}'
    headers = {"content-type": "application/json"}
    answer = page.client.post("/api/videos/0/edit", content=body, headers=headers)
    assert 400 <= answer.status_code < 500


def test_every_acknowledged_edit_is_on_the_disk(page: Page, session: Session) -> None:
    drawn(page)
    assert page.edit(op="finished", frames=[[0, 4]]).status_code == 200
    assert page.edit(op="describe", id=1, name="<b>lorry</b>").status_code == 200
    held = read_annotation(session.open(0).place)
    assert held.objects[1].name == "<b>lorry</b>"
    assert held.finished == {0, 1, 2, 3, 4}


def test_undo_and_redo(page: Page) -> None:
    assert page.step(back=True).status_code == 422
    drawn(page)
    assert page.edit(op="key", id=1, frame=5, box=BOX).json()["can_undo"]
    answer = page.step(back=True).json()
    assert set(answer["objects"][0]["keys"]) == {"0"}
    assert page.step(back=True).json()["removed"] == [1]
    assert set(page.step(back=False).json()["objects"][0]["keys"]) == {"0"}


def test_thousands_of_objects(page: Page, session: Session) -> None:
    assert page.edit(op="settings", settings={"ahead": False}).status_code == 200
    edits = [record(n, keys={0: BOX}) for n in range(1, 5001)]
    assert page.edit(op="batch", edits=edits).status_code == 200
    assert len(page.get()["objects"]) == 5000
    answer = page.edit(op="key", id=17, frame=3, box=BOX)
    assert [one["id"] for one in answer.json()["objects"]] == [17]


# two pages


def test_pages_see_each_others_changes(page: Page, session: Session) -> None:
    other = Page(page.client, "second")
    page.edit(op="settings", settings={"ahead": False})
    drawn(page)
    assert other.edit(**record(2, keys={0: BOX})).status_code == 200
    news = page.get(page.revision)
    assert [one["id"] for one in news["objects"]] == [2]
    assert not news["whole"]


def test_an_edit_of_what_another_page_changed_is_refused(page: Page) -> None:
    page.edit(op="settings", settings={"ahead": False})
    drawn(page)
    other = Page(page.client, "second")
    assert other.edit(op="key", id=1, frame=0, box=(50, 50, 9, 9)).status_code == 200
    answer = page.edit(op="key", id=1, frame=0, box=BOX)
    assert answer.status_code == 409
    assert "another page" in answer.json()["error"]
    assert page.step(back=True).status_code == 409
    assert page.get()["objects"][0]["keys"]["0"] == [50, 50, 9, 9]
    page.revision = page.get()["revision"]
    assert page.edit(op="key", id=1, frame=0, box=BOX).status_code == 200


def test_two_pages_that_make_the_same_object_do_not_replace_it(page: Page) -> None:
    other = Page(page.client, "second")
    drawn(page)
    assert other.edit(**record(1, keys={3: BOX})).status_code == 409
    assert set(page.get()["objects"][0]["keys"]) == {"0"}


def test_events_say_what_changed(page: Page, session: Session) -> None:
    import asyncio

    from vidseg.annotate.server import _stream

    drawn(page)
    settle(session)
    found: list[Any] = []

    async def first_two() -> list[Any]:
        async for line in _stream(session.open(0).status, lambda: len(found) == 2):
            found.append(json.loads(line.removeprefix("data: ")))
            if len(found) == 1:
                page.edit(op="finished", frames=[[0, 0]])
        return found

    before, after = asyncio.run(first_two())
    assert after["revision"] == before["revision"] + 1


# propagation


def boxes(page: Page) -> dict[int, list[float]]:
    one = page.get()["objects"][0]
    spans = {s["first"] + i: box for s in one["fills"] for i, box in enumerate(s["boxes"])}
    return spans | {int(frame): box for frame, box in one["keys"].items()}


def agree(found: dict[int, list[float]]) -> float:
    import numpy as np

    from vidseg.trackers.boxes import iou

    truth = moving()
    return float(np.mean([iou(np.array(found[f]), np.array(truth.box(f))) for f in found]))


def test_an_object_is_tracked_on_and_a_new_box_refits_both_gaps(
    page: Page, session: Session
) -> None:
    page.edit(op="settings", settings={"every": 12})
    page.edit(**record(1, keys={0: moving().box(0)}))
    settle(session)
    assert set(boxes(page)) == set(range(13))
    page.edit(op="key", id=1, frame=12, box=moving().box(12))
    settle(session)
    assert set(boxes(page)) == set(range(LENGTH))
    assert agree(boxes(page)) > 0.85
    before = boxes(page)
    moved = [40.0, 20.0, 36.0, 30.0]
    page.edit(op="key", id=1, frame=6, box=moved)
    settle(session)
    after = boxes(page)
    assert set(after) == set(range(LENGTH))
    assert after[6] == moved
    assert {f for f in after if after[f] != before[f]} <= set(range(1, 12))
    page.revision = page.get()["revision"]
    page.step(back=True)
    settle(session)
    assert boxes(page) == before


def test_without_tracking_on_gaps_wait_until_they_are_asked_for(
    page: Page, session: Session
) -> None:
    page.edit(op="settings", settings={"ahead": False, "method": "linear"})
    page.edit(**record(1, keys={0: moving().box(0), 10: moving().box(10)}))
    settle(session)
    assert set(boxes(page)) == {0, 10}
    assert page.post("propagate").json() == {"gaps": 1}
    settle(session)
    assert set(boxes(page)) == set(range(11))
    assert page.post("propagate", ids=[1]).json() == {"gaps": 0}
    assert page.post("propagate", ids=[1], again=True).json() == {"gaps": 1}
    assert page.post("propagate", ids=[7]).status_code == 422


def test_a_gap_whose_boxes_changed_meanwhile_is_not_written(session: Session) -> None:
    from vidseg.trackers.fill import fill
    from vidseg.trackers.gaps import Gap

    page = Page(client_of(session), "first")
    page.edit(op="settings", settings={"ahead": False})
    page.edit(**record(1, keys={0: BOX, 10: BOX}))
    late = Gap(1, 0, 10, (0.0, 0.0, 9.0, 9.0), BOX)
    video = session.open(0)
    video._take(late, fill(late, None))
    assert set(boxes(page)) == {0, 10}
    page.edit(op="remove-object", id=1)
    video._take(late, fill(late, None))
    assert page.get()["objects"] == []


def test_what_fails_while_tracking_is_said(session: Session, monkeypatch: Any) -> None:
    from vidseg.errors import DataError

    page = Page(client_of(session), "first")

    def broken(indices: Any) -> Any:
        raise DataError("the frame is broken", where="frame 3")

    monkeypatch.setattr(session.open(0).filler, "_frames", broken)
    drawn(page)
    settle(session)
    assert "broken" in session.open(0).status()["fill"]["error"]
    assert page.edit(op="finished", frames=[[0, 0]]).status_code == 200


# exports


@pytest.mark.parametrize("form", ["mot", "masks", "coco"])
def test_exports_are_data_sets(page: Page, session: Session, form: str) -> None:
    from vidseg import plugins

    drawn(page)
    settle(session)
    refused = page.post("export", format=form)
    assert refused.status_code == 422
    assert "finished" in refused.json()["error"]
    page.edit(op="finished", frames=[[0, 5]])
    done = page.post("export", format=form).json()
    again = page.post("export", format=form, frames="all").json()
    assert done["folder"] != again["folder"]
    (video,) = plugins.create("dataset", done["spec"]).videos()
    assert len(list(labelled_frames(video))) == done["labelled"] == 6


def test_an_unknown_format_is_refused(page: Page) -> None:
    assert page.post("export", format="../../x").status_code == 422
