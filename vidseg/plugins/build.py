"""From a spec to a plugin object: parameters bound, checked against the signature, resolved."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from vidseg.errors import PluginError, VidsegError
from vidseg.plugins import signature as signatures
from vidseg.plugins.registry import TELL_AUTHORS, Plugin, available, find, load
from vidseg.plugins.spec import Spec, Specs, parse, parse_several, write
from vidseg.utils.suggest import did_you_mean
from vidseg.utils.text import reason


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
                hint=did_you_mean(name, names) + allowed,
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


def resolve_several(kind: str, given: Any, *, where: str = "") -> Specs:
    """Return one resolved spec or several, where several may be given.

    Args:
        kind: of plugin.
        given: a spec in any form, text with several of them separated by spaces, or a list.
        where: named in errors.

    Raises:
        PluginError: as :func:`resolve`.
    """
    known = {plugin.name for plugin in available(kind)}
    specs = parse_several(given, known, where=where or kind)
    try:
        return Specs(resolve(kind, spec, where=where) for spec in specs)
    except PluginError as error:
        if len(specs) <= (len(given) if isinstance(given, list | tuple) else 1):
            raise
        hint = f"{error.hint}; " if error.hint else ""
        hint += f"{len(specs)} were read, {' and '.join(map(str, specs))}: quote a path with spaces"
        raise PluginError(error.what, where=error.where or where, hint=hint) from error


def defaults(plugin: Plugin) -> dict[str, Any]:
    """Return the defaults of the parameters that have one, as plain values."""
    found = {p.name: p.default for p in signatures.parameters(load(plugin))}
    return {name: plain_value(value) for name, value in found.items() if _is_plain(value)}


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


def plain_value(value: Any) -> Any:
    """Return a default as a configuration holds it: lists for tuples, text for paths."""
    if isinstance(value, list | tuple):
        return [plain_value(one) for one in value]
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
        raise not_understood(plugin, error) from error


def not_understood(plugin: Plugin, error: Exception) -> PluginError:
    """Return the error of a plugin whose annotations pydantic cannot read."""
    text = " ".join(str(error).split())[:200]
    what = f"the {plugin.blame} has types that cannot be understood: {type(error).__name__}: {text}"
    return PluginError(what, hint=TELL_AUTHORS)


def _refused(
    fault: Any, plugin: Plugin, given: dict[str, Any], cls: type[Any], where: str
) -> PluginError:
    name = str(fault["loc"][0])
    annotation = signatures.type_text(signatures.hint(cls, name) or "")
    why = reason(fault["msg"])
    if fault["type"].startswith("missing"):
        what = f"{plugin.kind} {plugin.name!r} needs {name}"
    else:
        value = write(given[name]) if _is_plain(given[name]) else repr(given[name])
        what = f"{plugin.kind} {plugin.name!r}: {name}={value} is refused: {why}"
    return PluginError(what, where=where, hint=f"{name} is {annotation}" if annotation else "")
