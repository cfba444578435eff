"""What the signature of a plugin's ``__init__`` tells: its parameters, their types and texts."""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from vidseg.plugins.spec import Spec
from vidseg.types import CONTRACT
from vidseg.utils.yaml import scalar

METHODS = {
    "dataset": ("videos",),
    "sampler": ("sample",),
    "extractor": ("sizes", "build"),
    "classifier": ("fit", "load"),
    "executor": (),
    "tracker": ("start", "update"),
    "label": ("of",),
}
"""What a plugin of each kind must be able to do."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a plugin, as its signature and docstring tell.

    Attributes:
        name: its name in specs.
        type: its annotation as text.
        default: its default as text; None when it must be given.
        doc: its text in the ``Args:`` section of the class's docstring, or of a base's.
    """

    name: str
    type: str
    default: str | None
    doc: str


def parameters(cls: type[Any]) -> list[inspect.Parameter]:
    """Return the parameters of ``__init__`` without ``self``; none where the class defines none."""
    if cls.__init__ is object.__init__:
        return []
    return list(inspect.signature(cls.__init__).parameters.values())[1:]


def hint(cls: type[Any], name: str) -> Any:
    """Return the annotation of a parameter, names resolved; None where that fails."""
    return _hints(cls.__init__).get(name)


@functools.lru_cache(maxsize=256)
def _hints(init: Callable[..., None]) -> dict[str, Any]:
    """Return the annotations of all parameters, names resolved; none where that fails."""
    try:
        return typing.get_type_hints(init, include_extras=True)
    except Exception:
        return {}


def fit(cls: type[Any], name: str, value: Any) -> Any:
    """Make a list of one value where the parameter is a list, and only a list."""
    wanted = hint(cls, name)
    wanted = typing.get_args(wanted)[0] if typing.get_origin(wanted) is Annotated else wanted
    members = typing.get_args(wanted) if _is_union(wanted) else (wanted,)
    origins = {typing.get_origin(member) or member for member in members} - {type(None)}
    if origins and origins <= {list, tuple, Sequence} and not isinstance(value, list | None):
        return [scalar(value.name) if isinstance(value, Spec) else value]
    return value


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def fault(kind: str, loaded: Any) -> str:
    """Return what makes the object no plugin of ``kind``, or ``""``: ``"is not a class"``."""
    if not isinstance(loaded, type):
        return "is not a class"
    contract = getattr(loaded, "contract", None)
    if contract != CONTRACT:
        return f"states contract {contract!r}, this vidseg has {CONTRACT}"
    missing = [name for name in METHODS[kind] if not callable(getattr(loaded, name, None))]
    if missing:
        return f"has no method {' and no '.join(missing)}"
    try:
        found = parameters(loaded)
    except (TypeError, ValueError):
        return "has no readable signature"
    starred = [p for p in found if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    if starred:
        stars = "**" if starred[0].kind is starred[0].VAR_KEYWORD else "*"
        return f"takes {stars}{starred[0].name}; parameters must be typed and named"
    untyped = [parameter.name for parameter in found if parameter.annotation is parameter.empty]
    return f"does not type {', '.join(untyped)}" if untyped else ""


def checker(cls: type[Any]) -> Callable[..., dict[str, Any]]:
    """Return a function that checks keywords against ``__init__``'s types, without running it.

    It returns the values as the types want them (``Path`` for text), defaults included, and raises
    pydantic's ``ValidationError``.

    Raises:
        Exception: pydantic does not understand the annotations.
    """
    return _checker(cls.__init__) if parameters(cls) else dict


@functools.lru_cache(maxsize=256)
def _checker(init: Callable[..., None]) -> Callable[..., dict[str, Any]]:
    """Return the function for one ``__init__``: to make it takes milliseconds."""
    from pydantic import ConfigDict, validate_call

    @functools.wraps(init)
    def given(self: None, **values: Any) -> dict[str, Any]:
        return values

    checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(given)
    return functools.partial(checked, None)


def type_text(annotation: Any) -> str:
    """Return an annotation as a user reads it: ``int (>= 1) | null``, ``error | all``."""
    if isinstance(annotation, str):
        return annotation
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        limits = ", ".join(_limits(members[1:]))
        return type_text(members[0]) + (f" ({limits})" if limits else "")
    if origin is typing.Literal:
        return " | ".join(str(member) for member in members)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_text(member) for member in members)
    if annotation in (None, type(None)):
        return "null"
    if annotation is ...:
        return "..."
    name = getattr(origin or annotation, "__name__", None) or str(annotation)
    return f"{name}[{', '.join(type_text(member) for member in members)}]" if members else name


def _limits(metadata: Iterable[Any]) -> Iterator[str]:
    """Yield ``">= 1"`` for pydantic's and annotated_types' bounds; other constraints are silent."""
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "min_length": "length >="}
    for item in metadata:
        yield from _limits(getattr(item, "metadata", ()))
        for name, sign in signs.items():
            if (bound := getattr(item, name, None)) is not None and not callable(bound):
                yield f"{sign} {bound:g}" if isinstance(bound, float) else f"{sign} {bound}"


def documented(text: str) -> dict[str, str]:
    """Return the texts of a Google-style ``Args:`` section by parameter name."""
    parts = re.split(r"^Args:\s*$", text, maxsplit=1, flags=re.MULTILINE)
    if len(parts) < 2:
        return {}
    section = re.split(r"^\S", parts[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^    (\w[\w, ]*):\s*(.*(?:\n(?:     .*|\s*$))*)", section, re.MULTILINE)
    return {name.strip(): " ".join(doc.split()) for names, doc in rows for name in names.split(",")}
