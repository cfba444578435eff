"""YAML 1.2 core schema, with errors that name file, line and column."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from vidseg.errors import UsageError

_DEEPEST = 20


def read_yaml(path: Path, *, where: str) -> Any:
    """Return the content of a YAML 1.2 file.

    Raises:
        UsageError: it cannot be read or is not YAML; names file, line and column.
    """
    return parse_yaml(read_text(path, where=where), where=path)


def read_text(path: Path, *, where: str) -> str:
    """Return the content of a text file.

    Raises:
        UsageError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"cannot read {path}: {reason}", where=where) from error


def parse_yaml(text: str, *, where: object) -> Any:
    """Return the content of YAML 1.2 text.

    Raises:
        UsageError: it is not YAML; names ``where``, line and column.
    """
    try:
        return yaml.load(text, Loader=CoreLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        problem = getattr(error, "problem", None) or "not YAML"
        raise UsageError(str(problem), where=place, hint="mend the YAML") from error


def parse_foreign_yaml(text: str, *, where: object) -> Any:
    """Return the content of YAML that came with data: no aliases, no deep nesting.

    Aliases of aliases make a few lines gigabytes.

    Raises:
        UsageError: it is not YAML, has an alias, or is nested deeper than 20 levels.
    """
    depth = 0
    try:
        for event in yaml.parse(text, Loader=CoreLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > _DEEPEST:
                what = "nested too deeply" if depth > _DEEPEST else "has an alias (*)"
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise UsageError(what, where=f"{where}:{line}", hint="write it out")
    except yaml.YAMLError:
        pass  # said better by what follows
    return parse_yaml(text, where=where)


def scalar(text: str, *, where: str = "value") -> Any:
    """Return the value of a YAML 1.2 core scalar, quoted or plain.

    Text that YAML would not take as one scalar (``C:\\data``, ``a: b``) stands for itself.
    """
    if text[:1] in "\"'":
        try:
            return yaml.load(text, Loader=CoreLoader)
        except yaml.YAMLError as error:
            raise UsageError(f"{text} is not well quoted", where=where) from error
    return _plain_scalar(text)


def _plain_scalar(text: str) -> Any:
    loader: Any = CoreLoader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    try:
        return loader.construct_object(yaml.ScalarNode(tag, text))
    except ValueError:  # an integer of thousands of digits
        return text


class CoreLoader(yaml.SafeLoader):
    """YAML 1.2 core schema: what PyYAML's YAML 1.1 reads as octal or yes/no is not."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice, which YAML forbids and PyYAML overlooks."""
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _int(loader: CoreLoader, node: yaml.ScalarNode) -> int:
    text = str(node.value)
    base = 8 if "0o" in text else 16 if "0x" in text else 10
    return int(text, base)


def _float(loader: CoreLoader, node: yaml.ScalarNode) -> float:
    text = str(node.value).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_NUMBER_START = list("-+.0123456789")
for _tag, _pattern, _first in [
    ("null", r"null|Null|NULL|~|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", _NUMBER_START),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        _NUMBER_START,
    ),
]:
    CoreLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first
    )
CoreLoader.add_constructor("tag:yaml.org,2002:int", _int)
CoreLoader.add_constructor("tag:yaml.org,2002:float", _float)
