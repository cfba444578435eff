"""Words in messages."""

from __future__ import annotations

import unicodedata

_UNWRITABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories: control characters, halves of pairs (bytes of a file name that are no UTF-8),
separators of lines and paragraphs."""


def is_printable(name: str) -> bool:
    """Return whether a name can stand on one line of a table, of XML, and of a log.

    >>> is_printable("street 1"), is_printable(chr(10))
    (True, False)
    """
    return not any(unicodedata.category(letter) in _UNWRITABLE for letter in name)


def escaped(text: str) -> str:
    r"""Return text with what cannot stand on a line as Python writes it.

    >>> print(escaped("a" + chr(10) + "b"))
    a\nb
    """
    return "".join(letter if is_printable(letter) else repr(letter)[1:-1] for letter in text)


def plural(noun: str, count: float | str) -> str:
    """Return ``noun`` as it stands beside a count: ``1 frame``, ``0.5 frames``, ``2 boxes``."""
    if str(count) in ("1", "1.0"):
        return noun
    return f"{noun}es" if noun.endswith("x") else f"{noun}s"


def reason(message: str) -> str:
    """Return what pydantic says of a value without the class of the error that said it.

    >>> reason("Value error, a box has a width")
    'a box has a width'
    """
    return message.removeprefix("Value error, ")


def rounded_seconds(seconds: float) -> str:
    """Return a duration that is known roughly: ``0 s``, ``40 s``, ``3 min``, ``2.5 h``.

    >>> rounded_seconds(0.2), rounded_seconds(43), rounded_seconds(200), rounded_seconds(9000)
    ('0 s', '43 s', '3 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.2g} h"
