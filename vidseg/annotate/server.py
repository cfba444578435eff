"""The page's server: frames, the state of an annotation, edits, events, exports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from vidseg import plugins
from vidseg.annotate.export import FORMATS, export
from vidseg.annotate.guard import Guard
from vidseg.annotate.opened import StaleError
from vidseg.annotate.pictures import NotYetError
from vidseg.annotate.preview import mask_preview
from vidseg.annotate.session import Session
from vidseg.datasets.annotation_records import Edit
from vidseg.errors import StoreError, UsageError, VidsegError
from vidseg.trackers.fill import METHODS
from vidseg.utils.text import reason

TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
}
PATIENCE = 5.0
"""Seconds that a frame may be waited for."""
LOOK = 0.1
"""Seconds from one look at what changed to the next."""
FOREVER = "private, max-age=31536000, immutable"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    client: Annotated[str, Field(min_length=1, max_length=64)]


class _Changed(_Body):
    revision: Annotated[int, Field(ge=0)]


class _Edited(_Changed):
    edit: Edit


class _Stepped(_Changed):
    back: bool


class _Propagated(_Body):
    ids: list[int] | None = None
    again: bool = False


class _Exported(_Body):
    format: str
    frames: Literal["finished", "all"] = "finished"
    images: Literal["link", "png", "jpg"] = "link"


def create_app(
    session: Session, token: str, port: int, *, ended: Callable[[], bool] = lambda: False
) -> Guard:
    """Return the application.

    Args:
        session: what is served.
        token: that a request must have.
        port: that it is served on; requests for another address are refused.
        ended: whether the server is about to end: then streams end.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _add_page(app)
    _add_reading(app, session, ended)
    _add_writing(app, session)
    app.add_exception_handler(VidsegError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    return Guard(app, token, port)


def _add_page(app: FastAPI) -> None:
    """Serve the files of the page: these and no others, whatever the path says."""
    held = {
        file.name: (file.read_bytes(), TYPES["." + file.name.rpartition(".")[2]])
        for file in files("vidseg.annotate").joinpath("page").iterdir()
        if "." + file.name.rpartition(".")[2] in TYPES
    }

    @app.get("/")
    def index() -> Response:
        return _file(*held["index.html"])

    @app.get("/page/{name}")
    def asset(name: str) -> Response:
        return _file(*held[name]) if name in held else Response(status_code=404)


def _add_reading(app: FastAPI, session: Session, ended: Callable[[], bool]) -> None:
    @app.get("/api/session")
    def listing() -> dict[str, Any]:
        return {
            "videos": session.listing(),
            "first": session.first,
            "faults": session.faults,
            "output": str(session.output),
            "trackers": [one.name for one in plugins.available("tracker")],
            "methods": METHODS,
            "formats": FORMATS,
        }

    @app.get("/api/videos/{video}")
    def state(video: int, since: int = -1) -> dict[str, Any]:
        opened = session.open(video)
        height, width = opened.info.size
        facts = {
            "name": opened.video.name,
            "length": opened.info.length,
            "width": width,
            "height": height,
            "fps": opened.info.fps,
            "key": opened.video.image_key[:16],
            "folder": str(opened.place),
        }
        return {"video": facts, "status": opened.status(), **opened.changes(since)}

    @app.get("/api/videos/{video}/frames/{key}/{index}")
    def frame(video: int, key: str, index: int, request: Request) -> Response:
        opened = session.open(video)
        if key != opened.video.image_key[:16] or not 0 <= index < opened.info.length:
            return Response(status_code=404)
        headers = {"cache-control": FOREVER, "etag": f'"{key}-{index}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(opened.pictures.jpeg(index, PATIENCE), 200, headers, "image/jpeg")

    @app.get("/api/videos/{video}/mask/{index}")
    def mask(
        video: int, index: int, shape: Literal["box", "ellipse", "grabcut"] = "grabcut"
    ) -> Response:
        opened = session.open(video)
        if not 0 <= index < opened.info.length:
            return Response(status_code=404)
        content = mask_preview(opened, index, shape)
        return Response(content, 200, {"cache-control": "no-store"}, "image/png")

    @app.get("/api/videos/{video}/events")
    def events(video: int) -> Response:
        opened = session.open(video)
        stream = _stream(opened.status, ended)
        headers = {"cache-control": "no-store"}
        return StreamingResponse(stream, 200, headers, "text/event-stream")


def _add_writing(app: FastAPI, session: Session) -> None:
    @app.post("/api/videos/{video}/edit")
    def edit(video: int, body: _Edited) -> dict[str, Any]:
        return session.open(video).apply(body.edit, body.revision, body.client)

    @app.post("/api/videos/{video}/step")
    def step(video: int, body: _Stepped) -> dict[str, Any]:
        return session.open(video).step(back=body.back, revision=body.revision, client=body.client)

    @app.post("/api/videos/{video}/propagate")
    def propagate(video: int, body: _Propagated) -> dict[str, Any]:
        return {"gaps": session.open(video).propagate(body.ids, again=body.again)}

    @app.post("/api/videos/{video}/stop")
    def stop(video: int, body: _Body) -> dict[str, Any]:
        session.open(video).filler.stop()
        return {}

    @app.post("/api/videos/{video}/export")
    def write(video: int, body: _Exported) -> dict[str, Any]:
        done = export(
            session.open(video),
            session.output,
            body.format,
            frames=body.frames,
            images=body.images,
        )
        counts = {"frames": done.frames, "labelled": done.labelled, "losses": done.losses}
        return {"folder": str(done.output), "spec": done.spec, **counts}


async def _stream(
    status: Callable[[], dict[str, Any]], ended: Callable[[], bool]
) -> AsyncIterator[str]:
    """Yield what pages are told, whenever it changed; a comment now and then keeps it open."""
    last, quiet = "", 0
    while not ended():
        text = json.dumps(status())
        if text != last:
            last, quiet = text, 0
            yield f"data: {text}\n\n"
        elif quiet * LOOK > 15:
            quiet = 0
            yield ": still here\n\n"
        quiet += 1
        await asyncio.sleep(LOOK)


def _file(content: bytes, kind: str) -> Response:
    headers = {"cache-control": "no-cache"}
    return Response(content, 200, headers, f"{kind}; charset=utf-8")


def _refused(request: Request, error: Exception) -> Response:
    status = 400
    if isinstance(error, StaleError):
        status = 409
    elif isinstance(error, UsageError):
        status = 422
    elif isinstance(error, NotYetError):
        return JSONResponse({"error": str(error)}, 503, {"retry-after": "1"})
    elif isinstance(error, StoreError):
        status = 507
    return JSONResponse({"error": str(error)}, status)


def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return JSONResponse({"error": f"{place}: {reason(first['msg'])}"}, 422)
