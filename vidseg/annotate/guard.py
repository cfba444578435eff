"""What a request must have before anything of it is read: the token, our address, a size."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MOST_BYTES = 16 * 2**20
"""A request with a longer body is refused."""
HEADER = "x-vidseg-token"

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """Lets requests through that have the token and come from our own page.

    The token stands in the address that is printed; the first request changes it for a cookie that
    scripts cannot read. A script of the user sends it in the header ``X-Vidseg-Token``.

    Args:
        app: what is guarded.
        token: of this session.
        port: that it is served on.
        most: bytes of a body.
    """

    def __init__(self, app: Any, token: str, port: int, most: int = MOST_BYTES) -> None:
        self._app, self._token, self._most = app, token, most
        self.cookie = f"vidseg-{port}"
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): _text(value) for key, value in scope["headers"]}
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, *refusal)
        elif scope["path"] == "/" and b"token=" in scope["query_string"]:
            cookie = f"{self.cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
            await _answer(send, 303, "", [(b"location", b"/"), (b"set-cookie", cookie.encode())])
        else:
            await self._pass_on(scope, headers, receive, send)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if host not in self._hosts:
            return 403, "another host's name"
        if headers.get("origin", f"http://{host}") != f"http://{host}":
            return 403, "a request from another page"
        if not self._known(scope, headers):
            return 403, "no token: open the address that `vidseg annotate` printed"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most:
            return 413, f"more than {self._most} bytes"
        return None

    def _known(self, scope: Scope, headers: dict[str, str]) -> bool:
        given = [headers.get(HEADER, "")]
        if scope["path"] == "/":
            given += parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        try:
            held = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            held = None
        given += [held.value] if held is not None else []
        token = self._token.encode()
        return any(secrets.compare_digest(one.encode(), token) for one in given)

    async def _pass_on(
        self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        """Read the body up to the limit, then let the application have it."""
        parts: list[bytes] = []
        more, size = scope["method"] not in ("GET", "HEAD"), 0
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            size, more = size + len(parts[-1]), message.get("more_body", False)
            if size > self._most:
                await _answer(send, 413, f"more than {self._most} bytes")
                return
        body: list[MutableMapping[str, Any]] = [
            {"type": "http.request", "body": b"".join(parts), "more_body": False}
        ]

        async def again() -> MutableMapping[str, Any]:
            return body.pop() if body else await receive()

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_headers(HEADERS.items())]
            await send(message)

        await self._app(scope, again, guarded)


def _headers(pairs: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in pairs]


def _text(value: bytes) -> str:
    return value.decode("latin-1")


async def _answer(
    send: Send, status: int, text: str, more: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    body = text.encode()
    plain = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body))}
    closing = {"connection": "close"} if status == 413 else {}
    headers = [*_headers((HEADERS | plain | closing).items()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
