"""Finds plugins by entry point, imports each on first use, and calls it with checked parameters.

Groups are ``vidseg.datasets``, ``.samplers``, ``.extractors``, ``.classifiers``, ``.executors`` and
``.trackers``. The built-in plugins are declared in ``pyproject.toml`` like anybody's. In a source
checkout (``pyproject.toml`` stands beside the package) that table is read, and installed metadata
named vidseg is ignored, so that ``python -m vidseg`` in a checkout always sees its own plugins.

A plugin is a class; the signature of its ``__init__`` is its schema. A broken plugin is a row with
a reason in the listing, and an error only when it is used.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import importlib.metadata
import inspect
import re
import sys
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidseg.errors import PluginError
from vidseg.specs import Spec, parse, scalar, write
from vidseg.types import CONTRACT

KINDS = ("dataset", "sampler", "extractor", "classifier", "executor", "tracker")
PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Plugin:
    """One entry point, not yet imported.

    Attributes:
        kind: one of :data:`KINDS`.
        name: the name in specs.
        target: ``module:class``.
        package: name of the distribution that brings it.
        version: version of that distribution.
    """

    kind: str
    name: str
    target: str
    package: str
    version: str

    @property
    def blame(self) -> str:
        """Return ``"plugin NAME of PACKAGE VERSION"`` for messages."""
        return f"{self.kind} plugin {self.name!r} of {self.package} {self.version}"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a plugin, as its signature and docstring tell.

    Attributes:
        name: its name in specs.
        type: its annotation as text.
        default: its default as text; None when it must be given.
        doc: its text in the docstring's ``Args:`` section.
    """

    name: str
    type: str
    default: str | None
    doc: str


def available(kind: str) -> list[Plugin]:
    """Return the plugins of ``kind``, by name; imports none of them."""
    return sorted((p for p in _all() if p.kind == kind), key=lambda p: (p.name, p.package))


def find(kind: str, name: str) -> Plugin:
    """Return the plugin of that name.

    Raises:
        PluginError: there is none (names the nearest), or two packages bring one.
    """
    found = [plugin for plugin in available(kind) if plugin.name == name]
    if not found:
        known = [plugin.name for plugin in available(kind)]
        raise PluginError(
            f"there is no {kind} {name!r}",
            hint=_nearest(name, known) + f"`vidseg plugins list` shows them: {', '.join(known)}",
        )
    if len(found) > 1:
        packages = " and ".join(f"{p.package} {p.version}" for p in found)
        raise PluginError(
            f"{kind} {name!r} is brought by {packages}", hint="uninstall all of them but one"
        )
    return found[0]


def load(plugin: Plugin) -> type[Any]:
    """Import the plugin's class.

    Raises:
        PluginError: the import fails, or the class is no plugin of this contract; names the
            reason and the package to blame.
    """
    module, _, attribute = plugin.target.partition(":")
    try:
        loaded = functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    except Exception as error:
        raise PluginError(
            f"the {plugin.blame} cannot be imported: {type(error).__name__}: {error}",
            hint=_import_hint(error, plugin),
        ) from error
    if not isinstance(loaded, type):
        raise PluginError(f"the {plugin.blame} is not a class", hint="tell its authors")
    contract = getattr(loaded, "contract", None)
    if contract != CONTRACT:
        raise PluginError(
            f"the {plugin.blame} states contract {contract!r}, this vidseg has {CONTRACT}",
            hint="install versions of both that belong together",
        )
    return loaded


def create(kind: str, spec: str | int | dict[str, Any] | Spec, *, where: str = "") -> Any:
    """Return the plugin object that a spec describes.

    Raises:
        PluginError: unknown plugin or parameter, or a value that the signature does not allow.
        VidsegError: whatever the plugin itself refuses.
    """
    from pydantic import ConfigDict, ValidationError, validate_call

    bound = bind(kind, spec, where=where)
    cls = load(find(kind, bound.name))
    made: Any = object.__new__(cls)
    given = {name: _nested(kind, value, where) for name, value in bound.params.items()}
    arbitrary = ConfigDict(arbitrary_types_allowed=True)
    try:
        validate_call(config=arbitrary)(cls.__init__)(made, **given)
    except ValidationError as error:
        raise _refused(error, kind, bound, cls, where) from error
    return made


def bind(kind: str, spec: str | int | dict[str, Any] | Spec, *, where: str = "") -> Spec:
    """Return the spec with its positional value under the first parameter's name.

    Raises:
        PluginError: unknown plugin or parameter, or a parameter given twice.
    """
    given = parse(spec, where=where or kind)
    cls = load(find(kind, given.name))
    names = [parameter.name for parameter in _signature(cls)]
    params = dict(given.params)
    if given.positional is not None:
        if not names:
            raise PluginError(f"{kind} {given.name!r} takes no parameter", where=where)
        if names[0] in params:
            raise PluginError(f"{names[0]!r} is given twice", where=f"{kind} {given.name}")
        params = {names[0]: given.positional, **params}
    for name in params:
        if name not in names:
            allowed = f"it takes {', '.join(names)}" if names else "it takes none"
            raise PluginError(
                f"{kind} {given.name!r} has no parameter {name!r}",
                where=where,
                hint=_nearest(name, names) + allowed,
            )
    return Spec(given.name, None, {key: _fit(value, cls, key) for key, value in params.items()})


def resolve(kind: str, spec: str | int | dict[str, Any] | Spec, *, where: str = "") -> Spec:
    """Return the bound spec with every default written out: what a configuration records."""
    bound = bind(kind, spec, where=where)
    cls = load(find(kind, bound.name))
    defaults = {
        parameter.name: parameter.default
        for parameter in _signature(cls)
        if parameter.default is not parameter.empty
    }
    merged = {**defaults, **bound.params}
    order = [parameter.name for parameter in _signature(cls) if parameter.name in merged]
    values = {name: merged[name] for name in order}
    return Spec(bound.name, None, {k: _listed(_deep(kind, v, where)) for k, v in values.items()})


def describe(plugin: Plugin) -> tuple[str, list[Parameter]]:
    """Return the class docstring (without ``Args:``) and the parameters; imports the plugin."""
    cls = load(plugin)
    text = inspect.getdoc(cls) or ""
    documented = _documented(text)
    head = re.split(r"^Args:\s*$", text, maxsplit=1, flags=re.MULTILINE)[0].strip()
    parameters = [
        Parameter(
            parameter.name,
            _type_text(_hint(cls, parameter.name) or parameter.annotation),
            None if parameter.default is parameter.empty else write(_listed(parameter.default)),
            documented.get(parameter.name, ""),
        )
        for parameter in _signature(cls)
    ]
    return head, parameters


def summary(plugin: Plugin) -> str:
    """Return the first docstring line of the plugin's class, or of its module, without importing.

    Empty when the source cannot be found.
    """
    module, _, attribute = plugin.target.partition(":")
    path = _source(module)
    if path is None:
        return ""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return ""
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == attribute]
    doc = (ast.get_docstring(classes[0]) if classes else None) or ast.get_docstring(tree) or ""
    return doc.partition("\n")[0]


def check(plugin: Plugin) -> str:
    """Return ``""`` when the plugin can be imported and described, else the reason it cannot."""
    try:
        cls = load(plugin)
        kinds = {
            parameter.kind for parameter in inspect.signature(cls.__init__).parameters.values()
        }
    except Exception as error:
        return str(error)
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return f"the {plugin.blame} takes **kwargs; parameters must be typed and named"
    untyped = [p.name for p in _signature(cls) if p.annotation is p.empty]
    if untyped:
        return f"the {plugin.blame} does not type {', '.join(untyped)}"
    return ""


def _all() -> Iterator[Plugin]:
    own = _checkout_table()
    if own is not None:
        yield from own
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"] or "unnamed"
        if own is not None and name == "vidseg":
            continue
        for entry in distribution.entry_points:
            if entry.group.startswith("vidseg.") and entry.group[7:-1] in KINDS:
                yield Plugin(entry.group[7:-1], entry.name, entry.value, name, distribution.version)


@functools.cache
def _checkout_table() -> tuple[Plugin, ...] | None:
    """Return the plugins of the checkout that this package stands in, None when it is installed."""
    path = PACKAGE.parent / "pyproject.toml"
    if not path.is_file():
        return None
    project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    if project.get("name") != "vidseg":
        return None
    return tuple(
        Plugin(group[7:-1], name, target, "vidseg", project["version"])
        for group, table in project["entry-points"].items()
        if group.startswith("vidseg.")
        for name, target in table.items()
    )


def _source(module: str) -> Path | None:
    """Return the file of a module, importing neither it nor its parents."""
    path: Sequence[str] | None = None
    spec = None
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
        specs = (find_spec(name, path) for find_spec in finders if find_spec)
        try:
            spec = next((found for found in specs if found is not None), None)
        except (ImportError, KeyError):
            return None
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _signature(cls: type[Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(cls.__init__).parameters.values())[1:]


def _hint(cls: type[Any], name: str) -> Any:
    try:
        return typing.get_type_hints(cls.__init__, include_extras=True).get(name)
    except Exception:
        return None


def _fit(value: Any, cls: type[Any], name: str) -> Any:
    """Make a list of one value where the signature wants a list, and only a list."""
    hint = _hint(cls, name)
    hint = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    members = typing.get_args(hint) if _is_union(hint) else (hint,)
    origins = {typing.get_origin(member) or member for member in members} - {type(None)}
    if origins and origins <= {list, tuple, Sequence} and not isinstance(value, list | None):
        return [scalar(value.name) if isinstance(value, Spec) else value]
    return value


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _nested(kind: str, value: Any, where: str) -> Any:
    return create(kind, value, where=where) if isinstance(value, Spec) else value


def _deep(kind: str, value: Any, where: str) -> Any:
    return resolve(kind, value, where=where) if isinstance(value, Spec) else value


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _refused(error: Any, kind: str, spec: Spec, cls: type[Any], where: str) -> PluginError:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    annotation = _type_text(_hint(cls, name) or "")
    reason = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "missing_keyword_only_argument" or first["type"].startswith("missing"):
        what = f"{kind} {spec.name!r} needs {name}"
    else:
        what = f"{kind} {spec.name!r}: {name}={spec.params.get(name)!r} is refused: {reason}"
    return PluginError(what, where=where, hint=f"{name} is {annotation}" if annotation else "")


def _type_text(annotation: Any) -> str:
    """Return an annotation as a user reads it: ``int (>= 1)``, ``error | all``."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"FieldInfo\(.*?metadata=\[(.*?)\]\)", r"Field(\1)", text)
    text = re.sub(r"\b(?:Ge|Gt|Le|Lt|MinLen)\((.*?)\)", r"\1", text)
    text = re.sub(
        r"\b(?:typing|annotated_types|pathlib|pydantic\.fields|collections\.abc)\.", "", text
    )
    for name, sign in {
        "ge": ">=",
        "gt": ">",
        "le": "<=",
        "lt": "<",
        "min_length": "length >=",
    }.items():
        text = re.sub(rf"\b{name}=", f"{sign} ", text)
    text = re.sub(r"Annotated\[([^,\[\]]+(?:\[[^\]]*\])?), Field\(([^)]*)\)\]", r"\1 (\2)", text)
    text = re.sub(r"^Optional\[(.*)\]$", r"\1 | null", text).replace("| None", "| null")
    return re.sub(
        r"Literal\[([^\]]*)\]", lambda m: m[1].replace("'", "").replace(", ", " | "), text
    )


def _documented(text: str) -> dict[str, str]:
    """Return the texts of a Google-style ``Args:`` section by parameter name."""
    parts = re.split(r"^Args:\s*$", text, maxsplit=1, flags=re.MULTILINE)
    if len(parts) < 2:
        return {}
    section = re.split(r"^\S", parts[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^    (\w[\w, ]*):\s*(.*(?:\n(?:     .*|\s*$))*)", section, re.MULTILINE)
    return {name.strip(): " ".join(doc.split()) for names, doc in rows for name in names.split(",")}


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}? " if close else ""


def _import_hint(error: BaseException, plugin: Plugin) -> str:
    text = str(error)
    if "libGL" in text or "libgthread" in text or "libglib" in text:
        return (
            "install the system packages libgl1 and libglib2.0-0, "
            "or opencv-python-headless instead of opencv-python"
        )
    return f"reinstall {plugin.package}, or tell its authors"
