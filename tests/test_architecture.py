"""The rooms of the package: what may import what, and what stays out of where."""

from __future__ import annotations

import ast
import graphlib
import itertools
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "vidseg"
FLOORS = (
    ("types", "errors", "utils"),
    ("plugins", "media"),
    ("tasks", "trackers"),
    ("datasets", "labels", "samplers", "extractors"),
    ("store",),
    ("classifiers",),
    ("experiment", "stats"),
    ("suites",),
    ("tracking", "serving", "report"),
    ("annotate", "testing", "curate"),
    ("api",),
    ("cli",),
)
"""From the ground up; docs/architecture.md says what each room is for."""
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

MOST_LINES = 400


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def imported(path: Path, *, typing_only: bool = True) -> Iterator[str]:
    """Yield every module that a file imports, in functions too; relative imports are not used."""
    skipped: set[int] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.If)
            and not typing_only
            and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            skipped |= {id(inner) for part in node.body for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


def room_of(module: str) -> str | None:
    """Return the room of one of our modules; None for the package itself and for others'."""
    top, _, rest = module.partition(".")
    return rest.partition(".")[0] if top == "vidseg" and rest else None


def room_arrows() -> dict[str, dict[str, list[str]]]:
    arrows: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, path in MODULES.items():
        own = room_of(name)
        for other in imported(path):
            room = room_of(other)
            if own and room and room != own and own != "__main__":
                arrows[own][room].append(f"{name} imports {other}")
    return arrows


def test_every_room_stands_on_a_floor():
    rooms = {room for name in MODULES if (room := room_of(name))} - {"__main__"}
    assert rooms <= FLOOR.keys()


def test_the_root_holds_the_nouns_and_the_door_only():
    loose = {path.stem for path in PACKAGE.glob("*.py")}
    assert loose <= {"__init__", "__main__", "api", "errors", "types"}


def test_no_room_imports_an_upper_one():
    upward = [
        line
        for own, others in room_arrows().items()
        for room, lines in others.items()
        if FLOOR[room] > FLOOR[own]
        for line in lines
    ]
    assert upward == []


def test_rooms_form_no_circle():
    graph = {own: set(others) for own, others in room_arrows().items()}
    graphlib.TopologicalSorter(graph).prepare()


def test_modules_form_no_circle():
    graph = {
        name: {other for other in imported(path, typing_only=False) if other in MODULES} - {name}
        for name, path in MODULES.items()
        if name != "vidseg"
    }
    graphlib.TopologicalSorter({n: o - {"vidseg"} for n, o in graph.items()}).prepare()


@pytest.mark.parametrize(("library", "room"), [("mlflow", "tracking"), ("click", "cli")])
def test_one_room_only_knows_the_library(library: str, room: str):
    knowing = {
        room_of(n)
        for n, p in MODULES.items()
        if library in {m.partition(".")[0] for m in imported(p)}
    }
    assert knowing == {room}


ENGINE = ("experiment", "stats", "suites", "tracking", "serving", "report", "api", "cli")


def test_the_engine_knows_tasks_by_their_contract_only():
    """:mod:`vidseg.tasks.registry` is the one place that imports a task."""
    knowing = [
        f"{name} imports {other}"
        for name, path in MODULES.items()
        if room_of(name) in ENGINE or (name.startswith("vidseg.tasks") and name.count(".") == 2)
        for other in imported(path)
        if other.startswith("vidseg.tasks.") and other.count(".") > 2
    ]
    assert knowing == ["vidseg.tasks.registry imports vidseg.tasks.segmentation.task"]


def test_importing_the_package_is_light():
    code = "import sys, vidseg; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    heavy = {"torch", "mlflow", "numpy", "cv2", "click", "pydantic", "rich"}
    assert not heavy & set(done.stdout.split())


def test_the_page_about_the_rooms_names_each():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {
        name.strip("`/").removesuffix(".py"): int(cells[0]) - 1
        for line in page.splitlines()
        if (cells := [cell.strip() for cell in line.strip("|").split("|")])[0].isdigit()
        for name in cells[1].split(", ")
    }
    rooms = {room for name in MODULES if (room := room_of(name))} - {"__main__"}
    assert rooms <= named.keys()
    wrong = [
        (a, b)
        for a, b in itertools.combinations(rooms, 2)
        if (named[a] < named[b]) != (FLOOR[a] < FLOOR[b])
        or (named[a] > named[b]) != (FLOOR[a] > FLOOR[b])
    ]
    assert wrong == []


def test_files_are_short():
    long = {n: len(p.read_text(encoding="utf-8").splitlines()) for n, p in MODULES.items()}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES} == {}


def test_tests_stand_in_the_rooms_that_they_test():
    rooms = {p.parent.name for p in PACKAGE.glob("*/*.py")}
    own = {"cli", "contract", "docs", "end_to_end", "helpers", "benchmarks", "broken_plugins"}
    found = {p.parent.name for p in (ROOT / "tests").glob("*/*.py")}
    assert found <= rooms | own
    assert rooms - found == set()
