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

import functools
import importlib
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidseg.errors import PluginError
from vidseg.plugins import signature as signatures
from vidseg.utils.suggest import did_you_mean

KINDS = ("dataset", "sampler", "extractor", "classifier", "executor", "tracker", "label")
PACKAGE = Path(__file__).parents[1]
"""Folder of the package vidseg."""


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
    return sorted((p for p in all_plugins() if p.kind == kind), key=lambda p: (p.name, p.package))


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
            hint=did_you_mean(name, known)
            + f"`vidseg plugins list` shows them: {', '.join(known)}",
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
        hint = (
            "install versions of both that belong together" if "contract" in fault else TELL_AUTHORS
        )
        raise PluginError(f"the {plugin.blame} {fault}", hint=hint)
    assert isinstance(loaded, type)
    return loaded


TELL_AUTHORS = "tell its authors"


def all_plugins() -> tuple[Plugin, ...]:
    """Return every plugin of every kind; imports none of them."""
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


def _import_hint(error: BaseException, plugin: Plugin) -> str:
    text = str(error)
    if "libGL" in text or "libgthread" in text or "libglib" in text:
        return (
            "install the system packages libgl1 and libglib2.0-0, "
            "or opencv-python-headless instead of opencv-python"
        )
    return f"reinstall {plugin.package}, or tell its authors"
