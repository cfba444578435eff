"""What ``import vidseg`` offers: its names, where they come from, and what it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vidseg
from tests.conftest import ROOT
from vidseg.api.runs import Conditions
from vidseg.experiment.options import OPTIONS

NAMES = (
    "run run_suite rebuild_report open_model predict export open_dataset list_plugins select",
    "convert propagate simulate_annotator audit",
    "RunResult SuiteResult Selection Audit Progress",
    "Size Video VideoInfo FrameRef Labels Head Network TrainingSet",
    "VidsegError UsageError PluginError DataError StoreError ResourceError TrackingError",
    "UnreachableError Stopped __version__",
)


def test_the_exported_names():
    assert sorted(vidseg.__all__) == sorted(name for line in NAMES for name in line.split())
    assert set(vidseg.__all__) <= set(dir(vidseg))
    for name in vidseg.__all__:
        assert getattr(vidseg, name) is not None


def test_no_name_is_that_of_a_module():
    modules = {path.stem for path in (ROOT / "vidseg").iterdir()}
    assert not modules & set(vidseg.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        vidseg.runs  # noqa: B018


def test_every_name_is_typed():
    """What a type checker sees is what is imported when the program runs."""
    tree = ast.parse(Path(vidseg.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen.keys() == set(vidseg.__all__) - {"__version__"}
    for name, module in seen.items():
        assert name in vidseg._HOMES[str(module)].split()


def test_the_conditions_of_a_run_are_typed():
    assert Conditions.__annotations__.keys() == OPTIONS.keys()


def test_a_run_that_is_not_logged_imports_no_mlflow(tmp_path: Path):
    code = (
        "import sys, vidseg\n"
        "done = vidseg.run(dataset='synthetic:videos=2,frames=4,size=48x32', image_size='32x24',\n"
        "    sampler=1, extractor='filters:octaves=1', classifier='sgd:epochs=1', refit=False,\n"
        "    split='fixed:test=syn00', tracking=False, store='s', ledger='l', threads=1)\n"
        "assert done.run_id is None\n"
        "print(*sorted(done.scores), 'mlflow' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
    )
    assert done.stdout == "syn00 False\n"
    assert done.stderr == ""
    assert {path.name for path in tmp_path.iterdir()} == {"s", "l"}
