"""Plugins: found by entry point, described by their signature, made from a spec."""

from vidseg.plugins.build import bind, create, defaults, resolve, resolve_several
from vidseg.plugins.describe import blamed, check, describe, summary
from vidseg.plugins.registry import KINDS, Plugin, available, find, load

__all__ = [
    "KINDS",
    "Plugin",
    "available",
    "bind",
    "blamed",
    "check",
    "create",
    "defaults",
    "describe",
    "find",
    "load",
    "resolve",
    "resolve_several",
    "summary",
]
