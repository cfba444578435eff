"""What code a module runs: its import closure, read without importing anything.

A module's closure holds every module of its package that it imports, at the top or inside a
function, and what those import. It is followed in the syntax tree: ``import a.b``, ``from a import
b``, relative imports, and names of modules written as text (``"package.module"``,
``"package.module:Class"``), as ``importlib.import_module`` and ``python -m`` take them. Imports
under ``if TYPE_CHECKING`` do not run.

A module that asks where it stands (``__file__``, ``importlib.resources``, ...) reads files beside
it: those that it names, and the data files of the package, are part of the closure.

Each file is read once in a process: what runs is what was there when it started.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path

from vidseg.errors import VidsegError

CODE = {".py", ".pyc", ".pyi"}
"""Files that count where they are imported or started, not by standing there."""

_PLACE = {"__file__", "__path__", "__spec__", "__loader__"}
_READERS = {"importlib.resources", "importlib_resources", "pkgutil", "pkg_resources"}


@dataclass(frozen=True)
class Package:
    """A top-level package, or a module of one file.

    Attributes:
        name: as it is imported.
        paths: the folders of its modules; of a module of one file the folder that it stands in.
        single: it is a module of one file.
        near: its modules read data from their own folders, never from elsewhere in the package.
    """

    name: str
    paths: tuple[str, ...]
    single: bool = False
    near: bool = False


def locate(module: str) -> tuple[str, Package]:
    """Return a module's name and its top-level package, as the running interpreter finds it.

    Raises:
        VidsegError: there is no such package, or it stands in no file, as ``__main__`` of an
            interactive session does.
    """
    found = sys.modules.get(module.partition(".")[0])
    if module == "__main__" and (spec := getattr(found, "__spec__", None)) is not None:
        return locate(spec.name)  # python -m package.module
    if module == "__main__" and (file := getattr(found, "__file__", None)):
        return Path(file).stem, Package(Path(file).stem, (str(Path(file).parent),), single=True)
    top = module.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    # a package may have extended its path while it was imported
    folders = getattr(found, "__path__", spec.submodule_search_locations if spec else None)
    if folders is not None:
        return module, Package(top, tuple(folders))
    if spec is None or not spec.has_location or spec.origin is None:
        raise _missing(module)
    return module, Package(top, (str(Path(spec.origin).parent),), single=True)


def code_of(module: str) -> str:
    """Return the hash of a module's own code, without what it imports.

    Raises:
        VidsegError: it has no source.
    """
    name, package = locate(module)
    if (source := _read_once(name, package)) is None:
        raise _missing(module)
    return source.digest


def closure(
    module: str, packages: Collection[Package], leave: Collection[str] = ()
) -> dict[str, str]:
    """Return a hash of each module and data file of an import closure, by name.

    A hash is of the syntax tree without docstrings: layout, comments and docstrings are not in it.

    Args:
        module: where it begins.
        packages: modules of these are followed.
        leave: modules that are left out, with what only they import.

    Raises:
        VidsegError: ``module`` has no source, or a file cannot be read.
    """
    by_name = {package.name: package for package in packages}
    if _read(module, by_name) is None:
        raise _missing(module)
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name in leave or (source := _read(name, by_name)) is None:
            continue
        found[name] = source.digest
        found |= _data(source, by_name[name.partition(".")[0]])
        waiting += [name.rpartition(".")[0], *source.imports]
    return found


@dataclass(frozen=True)
class _Source:
    """A module: its hash, what it may import, and the files that it may read."""

    digest: str
    imports: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    reads: bool = False
    file: str = ""


def _missing(module: str) -> VidsegError:
    return VidsegError(
        f"the source of the module {module} is not found",
        hint="code that results depend on stands in a module with a file",
    )


def _read(name: str, packages: Mapping[str, Package]) -> _Source | None:
    package = packages.get(name.partition(".")[0])
    return None if package is None else _read_once(name, package)


@functools.cache
def _read_once(name: str, package: Package) -> _Source | None:
    """Return a module of a package; None when there is none of that name, or it has no file."""
    spec = _find(name, package)
    loader = None if spec is None else spec.loader
    if spec is None or loader is None or spec.origin is None:
        return None  # a folder without __init__.py
    try:
        text = loader.get_source(spec.name) if hasattr(loader, "get_source") else None
        if text is None:  # compiled
            return _Source(_sha256(loader.get_data(spec.origin)))  # type: ignore[attr-defined]
    except (OSError, ImportError, UnicodeDecodeError, SyntaxError) as error:  # of its encoding
        raise VidsegError(f"cannot be read: {error}", where=spec.origin) from error
    inside = spec.submodule_search_locations is not None or spec.name.endswith(".__init__")
    return _parsed(text, name, name if inside else name.rpartition(".")[0], spec.origin)


@functools.cache
def _find(name: str, package: Package) -> ModuleSpec | None:
    """Find a module without importing the packages that it stands in."""
    if name == package.name:
        return _look(name if package.single else f"{name}.__init__", package.paths)
    parent = name.rpartition(".")[0]
    if parent == package.name:
        return None if package.single else _look(name, package.paths)
    above = _find(parent, package)
    return None if above is None else _look(name, above.submodule_search_locations or ())


def _look(name: str, folders: Iterable[str]) -> ModuleSpec | None:
    """Find a module in folders; ``PathFinder`` fails on one whose package is not imported."""
    portions: list[str] = []
    for folder in folders:
        finder = pkgutil.get_importer(folder)
        spec = None if finder is None else finder.find_spec(name)
        if spec is not None and spec.loader is not None:
            return spec
        portions += (spec.submodule_search_locations or ()) if spec is not None else ()
    namespace = ModuleSpec(name, None, is_package=True)
    namespace.submodule_search_locations = portions
    return namespace if portions else None


@functools.cache
def _parsed(text: str, name: str, parent: str, file: str) -> _Source:
    try:
        tree = _Code().visit(ast.parse(text))
    except SyntaxError:  # nothing can run it
        return _Source(_sha256(text.encode()))
    nodes = list(ast.walk(tree))
    imports = tuple(dict.fromkeys(_imports(nodes, parent)))
    words = [n.value for n in nodes if isinstance(n, ast.Constant)]
    texts = [word for word in words if isinstance(word, str) and _may_be_name(word)]
    top = name.partition(".")[0]
    modules = [t.partition(":")[0] for t in texts if t.startswith(f"{top}.")]
    reads = any(map(_asks_place, nodes)) or bool(_READERS & set(imports))
    scripts = [t.removesuffix(".py").replace("/", ".") for t in texts if t.endswith(".py")]
    started = [f"{parent}.{script}" for script in scripts if reads]
    return _Source(
        _sha256(_dump(tree).encode()), (*imports, *modules, *started), tuple(texts), reads, file
    )


class _Code(ast.NodeTransformer):
    """Leaves out what does not run: docstrings and other bare text, and imports for types."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        bare = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if bare else self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        # Python 3.12.0 and .1 end a format with an empty text
        node.values = [v for v in node.values if getattr(v, "value", None) != ""]
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        named = isinstance(node.test, ast.Name | ast.Attribute)
        if named and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            node.body = []
        return self.generic_visit(node) if node.body or node.orelse else None


def _dump(node: object) -> str:
    """Return a syntax tree as text: ``ast.dump``, but the same from every version of Python."""
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
    return f"{type(node).__name__}({','.join(f'{n}={_dump(value)}' for n, value in fields)})"


def _imports(nodes: Iterable[ast.AST], parent: str) -> Iterator[str]:
    """Yield the names of modules that may be imported; some are names of objects."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parent.split(".")[: len(parent.split(".")) - node.level + 1]
            module = ".".join([*(above if node.level else ()), *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _may_be_name(text: str) -> bool:
    return text.isprintable() and 0 < len(text.encode()) < 256


def _asks_place(node: ast.AST) -> bool:
    name = getattr(node, "id", None) or getattr(node, "attr", None)
    return isinstance(node, ast.Name | ast.Attribute) and name in _PLACE


def _data(source: _Source, package: Package) -> dict[str, str]:
    """Return the hashes of the files that a module may read, by their place in the package."""
    if not source.reads:
        return {}
    return _data_once(Path(source.file).parent, source.named, package)


@functools.cache
def _data_once(folder: Path, named: tuple[str, ...], package: Package) -> dict[str, str]:
    if not folder.is_dir():  # in a zip file
        archive = next(path for path in folder.parents if path.exists())
        return {archive.name: _sha256(archive.read_bytes())}
    files = {folder / name for name in named if not name.startswith("/")}
    root = folder
    while not package.near and (root.parent / "__init__.py").is_file():
        root = root.parent
    if (root / "__init__.py").is_file():
        files |= {file for file in root.rglob("*") if _is_data(file.relative_to(root))}
    base = package.paths[0]
    return {
        f"{package.name}/{Path(os.path.relpath(file, base)).as_posix()}": _sha256(file.read_bytes())
        for file in sorted(files)
        if file.is_file() and (package.single or file.suffix not in CODE)
    }


def _is_data(place: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in place.parts)
    return not hidden and place.suffix not in CODE


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
