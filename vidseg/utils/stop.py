"""The wish to stop, by Ctrl-C or SIGTERM: noted by a signal handler, read by long work.

An exception that a handler raises at any place may be lost, in a callback of the garbage collector
for one, or take a file's writer by surprise. So the handler notes the signal, and
:func:`check_stop`, which all long work calls often, raises. What does not call it for
``GRACE_SECONDS`` is interrupted where it is. A second signal ends the process at once.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from vidseg.errors import Stopped

GRACE_SECONDS = 1.0
AGAIN = "finished work is kept, the same command goes on from it"

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_noted: list[int] = []
"""The signal that came, if any."""


def check_stop() -> None:
    """Return, or raise when the user or the system asked to stop.

    Raises:
        KeyboardInterrupt: by Ctrl-C.
        Stopped: by SIGTERM.
    """
    if _noted:
        _interrupt_in(0)
        raise _reason()


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Note Ctrl-C and SIGTERM for the length of a ``with`` block; in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # a background job of a shell ignores Ctrl-C, and goes on doing so
    taken = [n for n in _SIGNALS if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, _note) for number in taken}
    hook, sys.unraisablehook = sys.unraisablehook, _unraisable
    try:
        yield
    finally:
        _interrupt_in(0)
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
        _noted.clear()


def _note(number: int, frame: FrameType | None) -> None:
    for each in _SIGNALS:
        if signal.getsignal(each) == _note:
            signal.signal(each, signal.SIG_DFL)
    _noted.append(number)
    if not hasattr(signal, "setitimer"):
        raise _reason()
    _interrupt_in(GRACE_SECONDS)


def _interrupt_in(seconds: float) -> None:
    """Let :func:`_interrupt` be called after some seconds; 0: not at all."""
    if _noted and hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise _reason()


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Interrupt once more where the interruption was lost in a callback that cannot raise."""
    if _noted and isinstance(unraisable.exc_value, Stopped | KeyboardInterrupt):
        _interrupt_in(GRACE_SECONDS / 10)
    else:
        sys.__unraisablehook__(unraisable)


def _reason() -> BaseException:
    if _noted[0] == signal.SIGINT:
        return KeyboardInterrupt()
    return Stopped(f"stopped by {signal.Signals(_noted[0]).name}", AGAIN, 128 + _noted[0])
