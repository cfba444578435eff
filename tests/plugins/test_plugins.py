"""Plugins: found without import, called by signature, and blamed when they are broken."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
from click.testing import CliRunner
from pydantic import Field

from tests import broken_plugins
from vidseg import plugins
from vidseg.cli.plugins import plugins as command
from vidseg.errors import DataError, PluginError
from vidseg.plugins import registry
from vidseg.plugins import signature as signatures
from vidseg.plugins.describe import source_of
from vidseg.plugins.registry import Plugin
from vidseg.plugins.spec import Spec
from vidseg.types import Tracker


class Sized:
    """Shows every kind of parameter.

    More about it.

    Args:
        n: how many,
            told in two lines.
        short, long: two at once.
        folder: a place.
        sizes: a list.
        base: another sampler.

    Raises:
        Nothing.
    """

    contract: ClassVar[int] = 1

    def __init__(
        self,
        n: Annotated[int, Field(ge=1, le=9)],
        short: Literal["error", "all"] = "error",
        long: float | None = None,
        folder: Path = Path("here"),
        sizes: tuple[int, ...] = (1, 2),
        base: object = None,
    ) -> None:
        self.given = {"n": n, "short": short, "long": long, "folder": folder, "sizes": sizes}
        self.base = base

    def sample(self, videos, ctx): ...


class Bare:
    """Takes nothing and defines no constructor."""

    contract = 1

    def sample(self, videos, ctx): ...


@dataclass(frozen=True)
class Data:
    """A dataclass is a plugin, too."""

    n: int = 2
    kept: list[int] = field(default_factory=list)
    contract: ClassVar[int] = 1

    def sample(self, videos, ctx): ...


class Refuses:
    """Refuses what it is given, with errors of its own."""

    contract = 1

    def __init__(self, how: str) -> None:
        if how == "ours":
            raise DataError("is empty", where="folder")
        raise OSError("disk on fire")

    def sample(self, videos, ctx): ...


@pytest.fixture
def table(monkeypatch):
    """Declare samplers of this module as the only plugins, and return a function to add more."""
    rows = []

    def add(name, target, package="here"):
        rows.append(plugins.Plugin("sampler", name, target, package, "1.0"))

    for cls in (Sized, Bare, Data, Refuses):
        add(cls.__name__.lower(), f"{__name__}:{cls.__name__}")
    monkeypatch.setattr(registry, "all_plugins", lambda: iter(rows))
    return add


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Make the broken distribution visible here and in child processes, and nothing else."""
    return visible(broken_plugins.install(tmp_path / "site"), monkeypatch)


@pytest.fixture
def no_builtins(monkeypatch):
    monkeypatch.setattr(registry, "_checkout_table", tuple)


def visible(folder: Path, monkeypatch) -> Path:
    monkeypatch.syspath_prepend(str(folder))
    path = os.pathsep.join([str(folder), str(registry.PACKAGE.parent)])
    monkeypatch.setenv("PYTHONPATH", path)
    for module in broken_plugins.MODULES:
        monkeypatch.delitem(sys.modules, module, raising=False)
    importlib.invalidate_caches()
    return folder


def imported(folder: Path) -> list[str]:
    return sorted(file.stem for file in folder.glob("*.imported"))


def rows_of(output: str) -> dict[str, list[str]]:
    """Return the cells of a printed table by its second column, folded lines joined."""
    rows: dict[str, list[str]] = {}
    cells: list[str] = []
    for line in output.splitlines():
        found = [cell.strip() for cell in line.split("│")[1:-1]]
        if found and found[0]:
            cells = rows.setdefault(found[1], found)
        elif found:
            cells[:] = [f"{a} {b}".strip() for a, b in zip(cells, found, strict=True)]
    return rows


# --- the broken distribution ---------------------------------------------------------------------


def test_listing_shows_broken_plugins_and_imports_nothing(broken):
    before = set(sys.modules)
    names = {plugin.name for plugin in plugins.available("sampler") if plugin.package != "vidseg"}
    result = CliRunner().invoke(command, ["list"], catch_exceptions=False)
    assert result.exit_code == 0
    assert names == set(broken_plugins.SAMPLERS)
    rows = rows_of(result.output)
    for name in broken_plugins.SAMPLERS:
        assert rows[name][0] == "sampler"
    assert rows["import"][2:] == [
        "vidseg-broken 6.6.6",
        "A module that leaves a trace when it is imported.",
    ]
    assert rows["absent"][3] == rows["syntax"][3] == "(its source cannot be found)"
    assert rows["fails"][3] == "Its signature is right, its constructor is not."
    assert "another package brings this name too" in rows["successive"][3]
    assert imported(broken) == []
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    assert not new & {"torch", "mlflow", "timm", *broken_plugins.MODULES}


class Follower:
    """Follow the object by standing still."""

    contract = 1

    def start(self, image, box):
        self.box = box

    def update(self, image):
        return self.box, 1.0


def test_kinds_without_a_plugin_are_listed_and_a_tracker_is_one(monkeypatch):
    mine = Plugin("tracker", "mine", "tests.plugins.test_plugins:Follower", "tests", "1")
    for known, kinds in (((), set(registry.KINDS)), ((mine,), set(registry.KINDS) - {"tracker"})):
        monkeypatch.setattr(registry, "all_plugins", lambda known=known: known)
        result = CliRunner().invoke(command, ["list"], catch_exceptions=False)
        assert result.exit_code == 0
        empty = [line.split("│") for line in result.output.splitlines() if "none is inst" in line]
        assert {cells[1].strip() for cells in empty} == kinds
    assert rows_of(result.output)["mine"][3] == "Follow the object by standing still."
    assert plugins.check(mine) == ""
    assert isinstance(plugins.create("tracker", "mine"), Tracker)


REASONS = {
    "absent": "ModuleNotFoundError",
    "import": "No module named 'there_is_no_such_module'",
    "raises": "RuntimeError: two lines",
    "exit": "SystemExit: licence expired",
    "abort": "ends the process with 3",
    "syntax": "SyntaxError",
    "attribute": "has no attribute 'Absent'",
    "old-contract": "states contract 0, this vidseg has 1",
    "no-contract": "states contract None",
    "function": "is not a class",
    "kwargs": "takes **rest;",
    "untyped": "does not type n",
    "unresolved": "types that cannot be understood",
    "no-method": "has no method sample",
}


def test_check_gives_the_reason_and_blames_the_package(tmp_path, monkeypatch, no_builtins):
    # few, because each is imported by a process of its own
    chosen = ("import", "abort", "kwargs", "fails")
    samplers = {name: broken_plugins.SAMPLERS[name] for name in chosen}
    visible(broken_plugins.install(tmp_path / "site", samplers=samplers), monkeypatch)
    result = CliRunner().invoke(command, ["list", "--check"], catch_exceptions=False)
    assert result.exit_code == 1
    rows = rows_of(result.output)
    for name in chosen[:-1]:
        assert rows[name][3] == "broken"
        # folded cells lose the place of their spaces
        text = rows[name][4].replace(" ", "")
        assert REASONS[name].replace(" ", "") in text
        assert "vidseg-broken6.6.6" in text
    assert rows["fails"][3] == "ok"


@pytest.mark.parametrize("name", [name for name in REASONS if name != "abort"])
def test_using_a_broken_plugin_is_one_line_that_blames_it(broken, name):
    (found,) = [p for p in plugins.available("sampler") if p.name == name]
    assert REASONS[name] in plugins.check(found)
    for use in (plugins.resolve, plugins.create):
        with pytest.raises(PluginError) as caught:
            use("sampler", name)
        text = str(caught.value)
        assert REASONS[name] in text
        assert "vidseg-broken 6.6.6" in text
        assert "\n" not in text
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["two words", "a:b", "a,b", "_a", "-a", "a=b", "ünï", ""])
def test_check_refuses_a_name_that_no_spec_can_write(table, name):
    table(name, f"{__name__}:Bare")
    found = [plugin for plugin in plugins.available("sampler") if plugin.name == name]
    assert plugins.check(found[0]).startswith(f"no spec can write the name {name!r}")
    assert plugins.check(plugins.Plugin("sampler", "20", f"{__name__}:Bare", "here", "1")) == ""


def test_a_plugin_that_ends_the_process_ends_only_its_check(broken):
    code = "from vidseg.plugins.registry import available; print(len(available('sampler')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= len(broken_plugins.SAMPLERS)


def test_a_constructor_that_fails_is_blamed_when_it_runs(broken):
    assert plugins.resolve("sampler", "fails") == Spec("fails", None, {"n": 1})
    with pytest.raises(PluginError, match=r"'fails' of vidseg-broken 6\.6\.6 fails: KeyError"):
        plugins.create("sampler", "fails")


def test_a_name_of_a_builtin_is_nobodys(broken):
    found = [p.package for p in plugins.available("sampler") if p.name == "successive"]
    assert sorted(found) == ["vidseg", "vidseg-broken"]
    message = r"brought by vidseg 0\.\S+ and vidseg-broken 6\.6\.6; uninstall"
    with pytest.raises(PluginError, match=message):
        plugins.create("sampler", "successive:n=2")
    assert plugins.create("sampler", "1") is not None


def test_errors_of_other_packages_are_blamed_on_them(tmp_path, monkeypatch):
    source = "import json\nclass Loud:\n    contract = 1\n    def sample(self, videos, ctx):\n"
    site = broken_plugins.install(
        tmp_path / "site",
        samplers={"loud": "broken_loud:Loud"},
        modules={"broken_loud": source + "        return json.loads('{')\n"},
    )
    visible(site, monkeypatch)
    sampler = plugins.create("sampler", "loud")
    with pytest.raises(ValueError, match="Expecting") as caught:
        sampler.sample([], None)
    told = plugins.blamed(caught.value)
    assert str(told).startswith("vidseg-broken 6.6.6 fails: JSONDecodeError: Expecting")
    with pytest.raises(ZeroDivisionError) as ours:
        plugins.create("sampler", {"use": "random", "n": 1 // 0})
    assert plugins.blamed(ours.value) is None
    assert plugins.blamed(DataError("x")) is None
    assert plugins.blamed(KeyboardInterrupt()) is None


# --- where plugins are looked for ----------------------------------------------------------------


def other(folder: Path, package: str, version: str | None = "1.0", **more) -> Path:
    return broken_plugins.install(
        folder, package=package, version=version, samplers={"twin": "twin:Twin"}, modules={}, **more
    )


def packages(name: str = "twin") -> list[tuple[str, str]]:
    return [(p.package, p.version) for p in plugins.available("sampler") if p.name == name]


def test_two_packages_with_one_name_are_both_listed(tmp_path, monkeypatch, no_builtins):
    other(tmp_path, "first")
    other(tmp_path, "second")
    visible(tmp_path, monkeypatch)
    assert packages() == [("first", "1.0"), ("second", "1.0")]
    with pytest.raises(PluginError, match=r"first 1\.0 and second 1\.0"):
        plugins.find("sampler", "twin")
    result = CliRunner().invoke(command, ["list"], catch_exceptions=False)
    assert result.output.count("another package brings this name too") == 2


def test_a_copy_later_on_the_path_is_the_same_package(tmp_path, monkeypatch):
    other(tmp_path / "late", "my-plugins", "1.0")
    other(tmp_path / "early", "my_plugins", "2.0")
    visible(tmp_path / "late", monkeypatch)
    visible(tmp_path / "early", monkeypatch)
    assert packages() == [("my_plugins", "2.0")]


def test_remains_of_an_installation_hide_nobody(tmp_path, monkeypatch):
    other(tmp_path, "whole")
    other(tmp_path, "gone", None)
    (tmp_path / "empty-1.0.dist-info").mkdir()
    binary = tmp_path / "binary-1.0.dist-info"
    binary.mkdir()
    (binary / "METADATA").write_text("Name: binary\nVersion: 1.0\n")
    (binary / "entry_points.txt").write_bytes(b"\xff\xfe\x00")
    visible(tmp_path, monkeypatch)
    assert packages() == [("unnamed", "unknown"), ("whole", "1.0")]


def test_a_torn_list_of_entry_points_is_a_row(tmp_path, monkeypatch):
    torn = "[vidseg.samplers]\ncut off\n[console_scripts]\nx = y:z\n[vidseg.things]\na = b:c\n"
    other(tmp_path, "torn", extra=torn)
    visible(tmp_path, monkeypatch)
    assert packages() == [("torn", "1.0")]
    (cut,) = [p for p in plugins.available("sampler") if p.name == "cut off"]
    with pytest.raises(PluginError, match=r"cut off.*torn 1\.0 cannot be imported"):
        plugins.load(cut)
    assert plugins.summary(cut) == ""


def test_a_checkout_sees_its_own_table_whatever_is_installed(tmp_path, monkeypatch):
    other(tmp_path, "Vidseg", "9.9")
    visible(tmp_path, monkeypatch)
    assert packages() == []
    assert packages("successive") == [("vidseg", "0.1.0")]


def test_an_installed_vidseg_uses_its_metadata(tmp_path, monkeypatch):
    other(tmp_path, "vidseg", "9.9")
    visible(tmp_path, monkeypatch)
    monkeypatch.setattr(registry, "PACKAGE", tmp_path / "vidseg")
    uncached = registry._checkout_table.__wrapped__
    monkeypatch.setattr(registry, "_checkout_table", uncached)
    monkeypatch.setattr(registry, "_scan", registry._scan.__wrapped__)
    assert packages() == [("vidseg", "9.9")]
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "something else"\n')
    assert packages() == [("vidseg", "9.9")]
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "vidseg"\nversion = "1"\n'
        '[project.entry-points."vidseg.samplers"]\ntwin = "a:B"\n'
    )
    assert packages() == [("vidseg", "1")]


def test_every_builtin_exists_and_is_described():
    for kind in plugins.KINDS:
        for plugin in plugins.available(kind):
            if plugin.package == "vidseg":
                source = source_of(plugin.target.partition(":")[0])
                assert source is not None, plugin
                assert plugins.summary(plugin), plugin


# --- the signature is the schema -----------------------------------------------------------------


def test_values_become_what_the_signature_says(table):
    made = plugins.create("sampler", "sized:3,short=all,folder=/tmp/x,sizes=7")
    assert made.given == {
        "n": 3,
        "short": "all",
        "long": None,
        "folder": Path("/tmp/x"),
        "sizes": (7,),
    }
    assert plugins.create("sampler", {"use": "sized", "value": 4}).given["n"] == 4
    nested = plugins.create("sampler", "sized:n=1,base=[data:n=5]")
    assert nested.base == Data(5)


def test_resolve_writes_defaults_out_and_is_stable(table):
    spec = plugins.resolve("sampler", "sized:sizes=7,n=3,base=[data]")
    assert str(spec) == "sized:n=3,short=error,long=null,folder=here,sizes=7,base=[data:n=2]"
    assert plugins.resolve("sampler", str(spec)) == spec
    assert plugins.resolve("sampler", spec.mapping()) == spec
    assert plugins.resolve("sampler", "data") == Spec("data", None, {"n": 2})


def test_plugins_without_a_constructor_take_nothing(table):
    assert plugins.resolve("sampler", "bare") == Spec("bare")
    assert isinstance(plugins.create("sampler", "bare"), Bare)
    assert plugins.describe(plugins.find("sampler", "bare"))[1] == []
    with pytest.raises(PluginError, match="'bare' takes no parameter"):
        plugins.create("sampler", "bare:1")


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("sizd", ["there is no sampler 'sizd'", "did you mean 'sized'?", "bare, data"]),
        ("sized", ["'sized' needs n", "n is int (>= 1, <= 9)"]),
        ("sized:n=0", ["n=0 is refused", "int (>= 1, <= 9)"]),
        ("sized:n=many", ["n=many is refused", "valid integer"]),
        ("sized:n=1.5", ["n=1.5 is refused"]),
        ("sized:n=1,n=2", ["n=[1,2] is refused"]),
        ("sized:n=1,shrt=all", ["no parameter 'shrt'", "did you mean 'short'?"]),
        ("sized:n=1,short=al", ["short=al is refused", "error | all"]),
        ("sized:1,n=2", ["'n' is given twice"]),
        ("bare:n=2", ["no parameter 'n'", "it takes none"]),
    ],
)
def test_what_is_refused_before_anything_runs(table, spec, parts):
    for use in (plugins.resolve, plugins.create):
        with pytest.raises(PluginError) as caught:
            use("sampler", spec, where="--sampler")
        for part in parts:
            assert part in str(caught.value)
        assert "\n" not in str(caught.value)


def test_errors_of_the_constructor(table):
    plugins.resolve("sampler", "refuses:ours")
    with pytest.raises(DataError, match="folder: is empty"):
        plugins.create("sampler", "refuses:ours")
    with pytest.raises(PluginError, match=r"of here 1\.0 fails: OSError: disk on fire"):
        plugins.create("sampler", "refuses:theirs")


def test_description_from_signature_and_docstring(table):
    text, found = plugins.describe(plugins.find("sampler", "sized"))
    assert text == "Shows every kind of parameter.\n\nMore about it."
    assert [(p.name, p.type, p.default, p.doc) for p in found] == [
        ("n", "int (>= 1, <= 9)", None, "how many, told in two lines."),
        ("short", "error | all", "error", "two at once."),
        ("long", "float | null", "null", "two at once."),
        ("folder", "Path", "here", "a place."),
        ("sizes", "tuple[int, ...]", "[1,2]", "a list."),
        ("base", "object", "null", "another sampler."),
    ]
    assert plugins.summary(plugins.find("sampler", "sized")) == "Shows every kind of parameter."


def test_a_base_may_carry_the_text_of_a_parameter(monkeypatch, table):
    class Smaller(Sized):
        """Has fewer.

        Args:
            n: how few.
        """

        def __init__(self, n: int, sizes: tuple[int, ...] = (1,)) -> None:
            super().__init__(n, sizes=sizes)

    module = importlib.import_module("vidseg.plugins.describe")
    monkeypatch.setattr(module, "load", lambda plugin: Smaller)
    text, found = plugins.describe(plugins.find("sampler", "sized"))
    assert text == "Has fewer."
    assert [(p.name, p.doc) for p in found] == [("n", "how few."), ("sizes", "a list.")]


def test_a_fault_is_told_for_every_kind():
    for kind, methods in signatures.METHODS.items():
        empty = type("Empty", (), {"contract": 1})
        full = type("Full", (), {"contract": 1, **dict.fromkeys(methods, lambda self: None)})
        assert signatures.fault(kind, full) == ""
        assert all(method in signatures.fault(kind, empty) for method in methods)
