"""Specs: ``successive:n=20`` or ``{use: successive, n: 20}``, the text form of a plugin call.

Grammar::

    spec   = name [":" item {"," item}]
    item   = key "=" value | value            (one positional value at most, first)
    value  = "[" spec "]" | "@" file.yaml | quoted | plain

Plain values are YAML 1.2 core scalars: ``1e-3`` is a number, ``010`` is ten, ``yes`` is text.
A key that is repeated makes a list (``C=0.1,C=1``). Only the first colon and the first ``=`` split,
so ``mot:C:\\data`` and ``ray:address=ray://host`` survive. Quotes protect commas and brackets.

Where several may stand, as of data sets, text is split at a space that a further spec follows: a
name with a colon, or the name alone of a plugin that there is (``mot:A masks:B synthetic``). A path
with such a space in it needs quotes: ``mot:'/data/take two: final'``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidseg.errors import UsageError
from vidseg.utils.paths import user_path
from vidseg.utils.yaml import read_yaml, scalar

USE = "use"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)\s*=")


@dataclass(frozen=True)
class Spec:
    """A plugin's name and the parameters that were given.

    Attributes:
        name: name of the plugin within its kind.
        positional: value given without a key, or None.
        params: values by parameter name; nested specs are :class:`Spec` objects.
    """

    name: str
    positional: Any = None
    params: dict[str, Any] = field(default_factory=dict)

    def mapping(self) -> dict[str, Any]:
        """Return the YAML form; a positional value stands under the key ``value``."""
        plain = {key: _plain(value) for key, value in self.params.items()}
        given = {} if self.positional is None else {"value": _plain(self.positional)}
        return {USE: self.name, **given, **plain}

    def __str__(self) -> str:
        """Return the text form; :func:`parse` reads it back.

        A list of one scalar is written as that scalar: the plugin's signature makes it a list.
        """
        items = [] if self.positional is None else [write(self.positional)]
        for key, value in self.params.items():
            items += [f"{key}={write(one)}" for one in _repeats(value)]
        return f"{self.name}:{','.join(items)}" if items else self.name


class Specs(tuple[Spec, ...]):
    """One spec or more, where several may be given."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Return the names, such as ``"mot + masks"``."""
        return " + ".join(dict.fromkeys(spec.name for spec in self))

    def mapping(self) -> dict[str, Any] | list[dict[str, Any]]:
        """Return the YAML form: of one spec its mapping, of several their list."""
        found = [spec.mapping() for spec in self]
        return found[0] if len(found) == 1 else found

    def __str__(self) -> str:
        """Return the text form, separated by spaces; :func:`parse_several` reads it back."""
        return " ".join(map(str, self))


def parse_several(given: Any, known: Collection[str] = (), *, where: str = "spec") -> Specs:
    """Read one spec or several, from text, from one of the other forms, or from a list of them.

    Args:
        given: what :func:`parse` reads, text with several, or a list or tuple of these.
        known: names of plugins, which begin a spec without a colon too.
        where: named in errors.

    Raises:
        UsageError: one of them does not follow the grammar, or there is none.
    """
    if isinstance(given, Specs):
        return given
    items = given if isinstance(given, list | tuple) else [given]
    found: list[Spec] = []
    for item in items:
        parts = split_specs(item, known) if isinstance(item, str) else [item]
        found += [parse(part, where=where) for part in parts]
    if not found:
        raise UsageError("the list is empty", where=where, hint="name one, or leave it out")
    return Specs(found)


_NEXT = re.compile(r"\s+(?=(?P<name>[A-Za-z][A-Za-z0-9._-]+)(?P<end>:|\s|$))")


def split_specs(text: str, known: Collection[str] = ()) -> list[str]:
    """Split text at spaces, outside quotes and brackets, that a further spec follows.

    Args:
        text: such as ``"mot:A masks:B"``.
        known: names that begin a spec without a colon too.
    """
    text, found, start, place, depth = text.strip(), [], 0, 0, 0
    while place < len(text):
        after = _NEXT.match(text, place) if depth == 0 else None
        if after and (after["end"] == ":" or after["name"] in known):
            found.append(text[start:place])
            start = place = after.end()
            continue
        piece = _PIECE.match(text, place)
        assert piece is not None  # it takes any character
        depth += {"[": 1, "]": -1}.get(piece["mark"] or "", 0)
        place = piece.end()
    return [*found, text[start:]]


def is_name(text: str) -> bool:
    """Return whether a spec can begin with this name of a plugin."""
    return _NAME.fullmatch(text) is not None


def parse(text: str | int | Mapping[Any, Any] | Spec, *, where: str = "spec") -> Spec:
    """Read a spec from text, from YAML's mapping form, or from an integer (the name ``20``).

    Raises:
        UsageError: it does not follow the grammar; the message quotes the part at fault.
    """
    if isinstance(text, Spec):
        return text
    if isinstance(text, Mapping):
        return _from_mapping(text, where)
    if isinstance(text, int) and not isinstance(text, bool):
        return Spec(str(text))
    if not isinstance(text, str):
        raise UsageError(f"{text!r} is not a spec", where=where, hint="write name:key=value,...")
    name, colon, rest = text.strip().partition(":")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{text!r} does not begin with a name", where=where, hint="write name:key=value,..."
        )
    if colon and not rest.strip():
        raise UsageError(
            f"{text!r} ends after the colon", where=where, hint="add a value or drop the colon"
        )
    return _with_items(name, _split(rest, where) if rest else iter(()), where)


def _with_items(name: str, items: Iterator[str], where: str) -> Spec:
    positional: Any = None
    params: dict[str, Any] = {}
    for number, item in enumerate(items):
        match = _KEY.match(item)
        if match is None:
            if number:
                raise UsageError(
                    f"{item!r} has no key",
                    where=f"{where} {name}",
                    hint=f"write key=value{_quoting(name, positional, item)}",
                )
            positional = _value(item, where)
            continue
        key, value = match[1].replace("-", "_"), _value(item[match.end() :], where)
        _put(params, key, _nested(value.mapping, where) if isinstance(value, _File) else value)
    if isinstance(positional, _File):
        inner = {key: _nested(value, where) for key, value in positional.mapping.items()}
        return Spec(name, None, inner | params)
    return Spec(name, positional, params)


def _quoting(name: str, positional: Any, item: str) -> str:
    """Return how to write a path with a comma, where the item may be the rest of one."""
    if not isinstance(positional, str):
        return ""
    return f"; a path with a comma stands in quotes: {name}:{_quoted(f'{positional},{item}')}"


def _put(params: dict[str, Any], key: str, value: Any) -> None:
    if key not in params:
        params[key] = value
    elif isinstance(params[key], list):
        params[key] = [*params[key], value]
    else:
        params[key] = [params[key], value]


def _from_mapping(given: Mapping[Any, Any], where: str) -> Spec:
    if USE not in given:
        raise UsageError(
            f"the mapping has no {USE!r}", where=where, hint=f"write {{{USE}: name, key: value}}"
        )
    rest = {str(key).replace("-", "_"): _nested(v, where) for key, v in given.items() if key != USE}
    named = parse(given[USE], where=where)
    if str(named) != named.name:
        raise UsageError(
            f"{given[USE]!r} is more than a name",
            where=where,
            hint=f"write the parameters beside {USE!r}",
        )
    return Spec(named.name, rest.pop("value", None), rest)


def _nested(value: Any, where: str) -> Any:
    if isinstance(value, Mapping) and USE in value:
        return _from_mapping(value, where)
    return [_nested(one, where) for one in value] if isinstance(value, list) else value


_PIECE = re.compile(
    r"""(?<![^=\[,:])(?P<quoted>'(?:[^']|'')*'|"(?:[^"\\]|\\.)*")|(?P<mark>[\[\],])|(?P<char>.)""",
    re.DOTALL,
)


def _split(text: str, where: str) -> Iterator[str]:
    """Split at commas outside quotes and brackets; a quote opens only where a value begins."""
    depth, item = 0, ""
    for piece in _PIECE.finditer(text):
        mark = piece["mark"]
        if mark == "," and depth == 0:
            yield _item(item, text, where)
            item = ""
            continue
        depth += {"[": 1, "]": -1}.get(mark or "", 0)
        item += piece[0]
        if depth < 0 or (piece["char"] in ("'", '"') and item.rstrip("'\"")[-1:] in ("", "=", "[")):
            break
    else:
        if depth == 0:
            yield _item(item, text, where)
            return
    raise UsageError(
        f"{text!r} has an open or stray quote or bracket", where=where, hint="close it"
    )


def _item(item: str, text: str, where: str) -> str:
    if not item.strip():
        raise UsageError(f"{text!r} has an empty item", where=where, hint="drop the extra comma")
    return item.strip()


@dataclass(frozen=True)
class _File:
    mapping: dict[str, Any]


def _value(text: str, where: str) -> Any:
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return _bracket(text[1:-1].strip(), where)
    if text.startswith("@"):
        return _File(_read_mapping(user_path(text[1:]), where))
    return scalar(text, where=where)


def _bracket(inner: str, where: str) -> Any:
    """``[name]`` and ``[name:key=value]`` nest a spec; anything else is a YAML list.

    ``[20]`` is the plugin ``20``; the list of one number is ``[+20]``.
    """
    name, colon, _ = inner.partition(":")
    if _NAME.fullmatch(name) and (colon or type(scalar(name)) in (str, int)):
        return parse(inner, where=where)
    return [_value(item, where) for item in _split(inner, where)] if inner else []


def _read_mapping(path: Path, where: str) -> dict[str, Any]:
    loaded = read_yaml(path, where=where)
    if not isinstance(loaded, dict):
        raise UsageError("the file does not hold a mapping", where=f"{where} {path}")
    return {str(key).replace("-", "_"): value for key, value in loaded.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.mapping()
    return [_plain(one) for one in value] if isinstance(value, list) else value


def write(value: Any) -> str:
    """Return the text form of one parameter value; quotes what would be read as something else."""
    if isinstance(value, Spec):
        return f"[{value}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(_write_element(one, len(value)) for one in value)}]"
    if isinstance(value, float):
        return repr(float(value)).replace("inf", ".inf").replace("nan", ".nan")
    return _write_text(value) if isinstance(value, str) else str(value)


def _repeats(value: Any) -> list[Any]:
    """Return the values under which a key is repeated: those of a list, where parsing joins them.

    The first of a list must be no list itself, and one value alone makes none.
    """
    if not isinstance(value, list) or not value or isinstance(value[0], list):
        return [value]
    return [value] if len(value) == 1 and isinstance(value[0], Spec) else value


def _write_element(value: Any, count: int) -> str:
    """Return an element of a bracketed list, so that the list is not read as a nested spec."""
    text = write(value)
    if isinstance(value, str) and (count == 1 or ":" in value) and text[0] not in "\"'":
        return _quoted(value)
    lonely = count == 1 and isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return f"+{text}" if lonely else text


_MARKS = (",", "[", "]", "=", ":'", ':"')


def _write_text(value: str) -> str:
    odd = value[:1] in "\"'@" or any(mark in value for mark in _MARKS) or not value.isprintable()
    odd = odd or _NEXT.search(value) is not None
    plain = bool(value) and not odd and value == value.strip() and scalar(value) == value
    return value if plain else _quoted(value)


def _quoted(value: str) -> str:
    if value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    escaped = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value)
    return '"' + "".join(escaped) + '"'
