"""What a plugin says of itself, whether it can be used, and whose fault an error is."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from vidseg.errors import PluginError, VidsegError
from vidseg.plugins import registry
from vidseg.plugins import signature as signatures
from vidseg.plugins.build import not_understood, plain_value
from vidseg.plugins.registry import Plugin, load
from vidseg.plugins.spec import is_name, write


def describe(plugin: Plugin) -> tuple[str, list[signatures.Parameter]]:
    """Return the class docstring (without ``Args:``) and the parameters; imports the plugin."""
    cls = load(plugin)
    text = inspect.getdoc(cls) or ""
    documented: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        documented |= signatures.documented(inspect.cleandoc(base.__doc__ or ""))
    head = re.split(r"^Args:\s*$", text, maxsplit=1, flags=re.MULTILINE)[0].strip()
    parameters = []
    for parameter in signatures.parameters(cls):
        annotation = signatures.hint(cls, parameter.name) or parameter.annotation
        default = parameter.default
        parameters.append(
            signatures.Parameter(
                parameter.name,
                signatures.type_text(annotation),
                None if default is parameter.empty else write(plain_value(default)),
                documented.get(parameter.name, ""),
            )
        )
    return head, parameters


def summary(plugin: Plugin) -> str:
    """Return the first docstring line of the plugin's class, or of its module, without importing.

    Empty when the source cannot be found.
    """
    module, _, attribute = plugin.target.partition(":")
    path = source_of(module)
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
    """Return ``""`` when the plugin can be named and described, else the reason it cannot."""
    if not is_name(plugin.name):
        return (
            f"no spec can write the name {plugin.name!r}: a letter or digit, then letters, digits, "
            f"'.', '_' and '-'; {registry.TELL_AUTHORS}"
        )
    try:
        signatures.checker(load(plugin))
    except PluginError as error:
        return str(error)
    except Exception as error:
        return str(not_understood(plugin, error))
    return ""


def blamed(error: BaseException) -> PluginError | None:
    """Return what to tell of an error that was raised in another package's plugin, else None.

    Plugins need not import vidseg, so their errors are not of its family.
    """
    if isinstance(error, VidsegError) or not isinstance(error, Exception):
        return None
    frames = traceback.walk_tb(error.__traceback__)
    tops = {str(frame.f_globals.get("__name__")).partition(".")[0] for frame, _ in frames}
    for plugin in registry.all_plugins():
        if plugin.package != "vidseg" and re.split("[.:]", plugin.target)[0] in tops:
            what = f"{plugin.package} {plugin.version} fails: {type(error).__name__}: {error}"
            return PluginError(what, hint="if that is not about your data, tell its authors")
    return None


def source_of(module: str) -> Path | None:
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
