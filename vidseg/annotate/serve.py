"""Serves the annotation page on this machine until Ctrl-C or SIGTERM."""

from __future__ import annotations

import contextlib
import errno
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from vidseg.annotate.server import create_app
from vidseg.annotate.session import Session
from vidseg.errors import UsageError

HOST = "127.0.0.1"
FIRST, TRIES = 8700, 50
"""Without a port the first free one from ``FIRST`` on is taken."""


def listen(port: int | None) -> socket.socket:
    """Return a socket that listens on this machine only.

    Args:
        port: 0 takes any that is free, None the first free one from :data:`FIRST` on.

    Raises:
        UsageError: the port is taken, or may not be used.
    """
    tried = range(FIRST, FIRST + TRIES) if port is None else [port]
    for number in tried:
        found = socket.socket()
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((HOST, number))
            found.listen(128)
            return found
        except OSError as error:
            found.close()
            taken = error.errno == errno.EADDRINUSE
            if not taken or number == tried[-1]:
                why = "is taken by another program"
                what = why if taken else f"cannot be used ({error.strerror})"
                hint = "leave --port out, or name another one"
                raise UsageError(what, where=f"port {number}", hint=hint) from error
    raise AssertionError


def serve(
    session: Session, listening: socket.socket, *, ready: Callable[[str], None] = lambda url: None
) -> None:
    """Serve until a signal comes; every acknowledged change is on the disk at any moment.

    Args:
        session: closed at the end.
        listening: of :func:`listen`.
        ready: called with the address of the page, token included.
    """
    import uvicorn

    token = secrets.token_urlsafe(24)
    port = listening.getsockname()[1]
    server: Any

    class _Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """End at a signal, and do not raise it again: to be ended is no error."""
            if threading.current_thread() is not threading.main_thread():
                yield
                return
            numbers = (signal.SIGINT, signal.SIGTERM)
            before = {number: signal.signal(number, self._end) for number in numbers}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        def _end(self, number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

    app = create_app(session, token, port, ended=lambda: bool(server.should_exit))
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    server = _Server(config)
    try:
        ready(f"http://{HOST}:{port}/?token={token}")
        server.run(sockets=[listening])
    finally:
        session.close()
        listening.close()
