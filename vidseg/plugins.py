"""Finds plugins by entry point, imports each on first use, and calls it with checked parameters.

Groups are ``vidseg.datasets``, ``.samplers``, ``.extractors``, ``.classifiers``, ``.executors``,
``.trackers`` and ``.labels``. The built-in plugins are declared in ``pyproject.toml`` like
anybody's. In a source checkout (``pyproject.toml`` stands beside the package) that table is read,
and installed metadata named vidseg is ignored, so that ``python -m vidseg`` in a checkout always
sees its own plugins.

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
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from vidseg import signatures
from vidseg.errors import PluginError, VidsegError
from vidseg.specs import Spec, parse, write

KINDS = ("dataset", "sampler", "extractor", "classifier", "executor", "tracker", "label")
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
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"the {plugin.blame} cannot be imported: {type(error).__name__}: {error}",
            hint=_import_hint(error, plugin),
        ) from error
    fault = signatures.fault(plugin.kind, loaded)
    if fault:
        hint = "install versions of both that belong together" if "contract" in fault else _TELL
        raise PluginError(f"the {plugin.blame} {fault}", hint=hint)
    assert isinstance(loaded, type)
    return loaded


_TELL = "tell its authors"


def create(kind: str, spec: str | int | dict[str, Any] | Spec, *, where: str = "") -> Any:
    """Return the plugin object that a spec describes.

    Raises:
        PluginError: unknown plugin or parameter, or a value that the signature does not allow.
        VidsegError: whatever the plugin itself refuses.
    """
    bound = bind(kind, spec, where=where)
    plugin = find(kind, bound.name)
    given = {name: _created(kind, value, where) for name, value in bound.params.items()}
    values = _checked(plugin, given, where)
    try:
        return load(plugin)(**values)
    except (VidsegError, MemoryError):
        raise
    except Exception as error:
        raise PluginError(
            f"the {plugin.blame} fails: {type(error).__name__}: {error}", where=where
        ) from error


def bind(kind: str, spec: str | int | dict[str, Any] | Spec, *, where: str = "") -> Spec:
    """Return the spec with its positional value under the first parameter's name.

    Raises:
        PluginError: unknown plugin or parameter, or a parameter given twice.
    """
    given = parse(spec, where=where or kind)
    cls = load(find(kind, given.name))
    names = [parameter.name for parameter in signatures.parameters(cls)]
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
    return Spec(
        given.name, None, {key: signatures.fit(cls, key, value) for key, value in params.items()}
    )


def resolve(kind: str, spec: str | int | dict[str, Any] | Spec, *, where: str = "") -> Spec:
    """Return the bound spec with every default written out: what a configuration records.

    Raises:
        PluginError: as :func:`create`, but nothing of the plugin is run.
    """
    bound = bind(kind, spec, where=where)
    plugin = find(kind, bound.name)
    _checked(plugin, bound.params, where)
    merged = {**defaults(plugin), **bound.params}
    order = [parameter.name for parameter in signatures.parameters(load(plugin))]
    values = {name: merged[name] for name in order if name in merged}
    return Spec(bound.name, None, {k: _resolved(kind, v, where) for k, v in values.items()})


def defaults(plugin: Plugin) -> dict[str, Any]:
    """Return the defaults of the parameters that have one, as plain values."""
    found = {p.name: p.default for p in signatures.parameters(load(plugin))}
    return {name: _plain(value) for name, value in found.items() if _is_plain(value)}


def describe(plugin: Plugin) -> tuple[str, list[signatures.Parameter]]:
    """Return the class docstring (without ``Args:``) and the parameters; imports the plugin."""
    cls = load(plugin)
    text = inspect.getdoc(cls) or ""
    documented = signatures.documented(text)
    head = re.split(r"^Args:\s*$", text, maxsplit=1, flags=re.MULTILINE)[0].strip()
    parameters = [
        signatures.Parameter(
            parameter.name,
            signatures.type_text(signatures.hint(cls, parameter.name) or parameter.annotation),
            None if parameter.default is parameter.empty else write(_plain(parameter.default)),
            documented.get(parameter.name, ""),
        )
        for parameter in signatures.parameters(cls)
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
    except (OSError, SyntaxError, ValueError):
        return ""
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == attribute]
    doc = (ast.get_docstring(classes[0]) if classes else None) or ast.get_docstring(tree) or ""
    return doc.partition("\n")[0]


def check(plugin: Plugin) -> str:
    """Return ``""`` when the plugin can be imported and described, else the reason it cannot."""
    try:
        signatures.checker(load(plugin))
    except PluginError as error:
        return str(error)
    except Exception as error:
        return str(_not_understood(plugin, error))
    return ""


def blamed(error: BaseException) -> PluginError | None:
    """Return what to tell of an error that was raised in another package's plugin, else None.

    Plugins need not import vidseg, so their errors are not of its family.
    """
    if isinstance(error, VidsegError) or not isinstance(error, Exception):
        return None
    frames = traceback.walk_tb(error.__traceback__)
    tops = {str(frame.f_globals.get("__name__")).partition(".")[0] for frame, _ in frames}
    for plugin in _all():
        if plugin.package != "vidseg" and re.split("[.:]", plugin.target)[0] in tops:
            what = f"{plugin.package} {plugin.version} fails: {type(error).__name__}: {error}"
            return PluginError(what, hint="if that is not about your data, tell its authors")
    return None


def _all() -> tuple[Plugin, ...]:
    return _scan(tuple(sys.path))


@functools.lru_cache(maxsize=8)
def _scan(path: tuple[str, ...]) -> tuple[Plugin, ...]:
    """Read every distribution's entry points: 100 ms among 200 packages, so once a process."""
    return tuple(_found())


def _found() -> Iterator[Plugin]:
    own = _checkout_table()
    yield from own or ()
    seen = {"vidseg"} if own is not None else set()
    for distribution in importlib.metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
        except Exception:  # what an interrupted installation left behind
            continue
        if "vidseg." not in text:
            continue
        name, version = _identity(distribution)
        same = re.sub(r"[-_.]+", "-", name or "").lower()
        if same in seen:  # the first on the path is the one that Python imports
            continue
        seen |= {same} if same else set()
        for group, entry, target in _entry_points(text):
            if group.startswith("vidseg.") and group.endswith("s") and group[7:-1] in KINDS:
                yield Plugin(group[7:-1], entry, target, name or "unnamed", version or "unknown")


def _identity(distribution: importlib.metadata.Distribution) -> tuple[str | None, str | None]:
    """Return name and version, None where an interrupted installation left no metadata."""
    try:
        return distribution.metadata["Name"], distribution.version
    except Exception:  # some finders raise, some return nothing
        return None, None


def _entry_points(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield (group, name, target) of an ``entry_points.txt``; a line that is torn has no target.

    ``Distribution.entry_points`` raises there, and one broken package would hide all others.
    """
    group = ""
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("["):
            group = line.strip("[]").strip()
        elif line and not line.startswith(("#", ";")):
            name, _, target = line.partition("=")
            yield group, name.strip(), "".join(target.partition("[")[0].split())


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
        except Exception:  # finders are anybody's
            return None
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _created(kind: str, value: Any, where: str) -> Any:
    if isinstance(value, list):
        return [_created(kind, one, where) for one in value]
    return create(kind, value, where=where) if isinstance(value, Spec) else value


def _resolved(kind: str, value: Any, where: str) -> Any:
    if isinstance(value, list):
        return [_resolved(kind, one, where) for one in value]
    return resolve(kind, value, where=where) if isinstance(value, Spec) else value


def _holds_spec(value: Any) -> bool:
    return isinstance(value, Spec) or (
        isinstance(value, list) and any(_holds_spec(one) for one in value)
    )


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, PurePath) else value


def _is_plain(value: Any) -> bool:
    """Tell a default that a configuration can hold from a missing one and from a factory's."""
    if isinstance(value, list | tuple):
        return all(_is_plain(one) for one in value)
    return value is None or isinstance(value, bool | int | float | str | PurePath)


def _checked(plugin: Plugin, given: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the values that the signature makes of ``given``; specs in them are not judged."""
    from pydantic import ValidationError

    cls = load(plugin)
    try:
        return signatures.checker(cls)(**given)
    except ValidationError as error:
        faults = [f for f in error.errors() if not _holds_spec(given.get(str(f["loc"][0])))]
        if faults:
            raise _refused(faults[0], plugin, given, cls, where) from error
        return {}
    except Exception as error:
        raise _not_understood(plugin, error) from error


def _not_understood(plugin: Plugin, error: Exception) -> PluginError:
    text = " ".join(str(error).split())[:200]
    what = f"the {plugin.blame} has types that cannot be understood: {type(error).__name__}: {text}"
    return PluginError(what, hint=_TELL)


def _refused(
    fault: Any, plugin: Plugin, given: dict[str, Any], cls: type[Any], where: str
) -> PluginError:
    name = str(fault["loc"][0])
    annotation = signatures.type_text(signatures.hint(cls, name) or "")
    reason = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"].startswith("missing"):
        what = f"{plugin.kind} {plugin.name!r} needs {name}"
    else:
        value = write(given[name]) if _is_plain(given[name]) else repr(given[name])
        what = f"{plugin.kind} {plugin.name!r}: {name}={value} is refused: {reason}"
    return PluginError(what, where=where, hint=f"{name} is {annotation}" if annotation else "")


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
