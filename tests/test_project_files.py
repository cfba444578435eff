"""MLproject, conda.yaml and the documentation say what the command line and the package say."""

from __future__ import annotations

import re
import tomllib
from typing import Any, get_args

import click
import pytest
import yaml

from tests.conftest import ROOT
from vidseg.classifiers.base import BudgetRule
from vidseg.cli.main import vidseg
from vidseg.experiment.options import CONDITIONS, OPTIONS
from vidseg.tasks.registry import find_task

PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())
ENTRIES = {"main": "run", "run": "run", "suite": "suite run", "report": "report"}
"""The command of each entry point."""
# These belong to `mlflow run`, which has made the run before vidseg starts.
ELSEWHERE = {"--experiment", "--run-name", "--tracking-uri"}


def command_of(words: str) -> click.Command:
    command: click.Command = vidseg
    for word in words.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    return command


def long_options(command: click.Command) -> list[str]:
    every = [name for param in command.params for name in param.opts]
    return [name for name in every if name.startswith("--")]


def test_conda_environment_has_the_bounds_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())
    *plain, pip = conda["dependencies"]
    assert sorted(pip["pip"]) == sorted(project["dependencies"])
    assert plain == ["python=3.11", "pip"]
    assert conda["channels"] == ["conda-forge", "nodefaults"]
    assert PROJECT["conda_env"] == "conda.yaml"
    assert "python_env" not in PROJECT


def test_every_entry_point_is_a_command() -> None:
    assert PROJECT["entry_points"].keys() == ENTRIES.keys()


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_point_passes_every_option_on(entry: str) -> None:
    point, command = PROJECT["entry_points"][entry], command_of(ENTRIES[entry])
    start = f"python -m vidseg {ENTRIES[entry]} "
    assert point["command"].startswith(start)
    passed = dict(re.findall(r"(--[\w-]+)=\{(\w+)\}", point["command"]))
    assert passed.keys() == set(long_options(command)) - ELSEWHERE
    assert all(option == f"--{name.replace('_', '-')}" for option, name in passed.items())
    arguments = re.findall(r"^\{(\w+)\}", point["command"].removeprefix(start))
    assert len(arguments) == sum(isinstance(param, click.Argument) for param in command.params)
    assert [*arguments, *passed.values()] == list(point["parameters"])
    assert all(one["type"] == "string" for one in point["parameters"].values())
    given = {one["default"] for name, one in point["parameters"].items() if name not in arguments}
    assert given == {""}


@pytest.mark.parametrize(("words", "names"), [("run", [*OPTIONS]), ("suite run", [*CONDITIONS])])
def test_commands_take_the_conditions_of_a_run(words: str, names: list[str]) -> None:
    command = command_of(words)
    flags = [OPTIONS[name].flag for name in names]
    assert [name for name in long_options(command) if name in flags] == flags
    for param in command.params:
        if isinstance(param, click.Option) and param.name in names:
            assert (param.help or "").startswith(OPTIONS[param.name].help)
            shown = "[default: " in (param.help or "")
            assert shown == (words == "run" and OPTIONS[param.name].default_text != "")


def test_choices_are_those_of_the_code() -> None:
    assert OPTIONS["refine"].choices == tuple(find_task().refinements)
    assert OPTIONS["budget"].choices == get_args(BudgetRule)


def table(page: str, first: str) -> list[list[str]]:
    """Return the cells of the rows of a page's table whose head begins with ``first``."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (rows,) = re.findall(
        rf"^\| {re.escape(first)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE
    )
    return [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in rows.splitlines()]


def test_the_documented_options_are_the_options() -> None:
    expected: list[Any] = [
        [f"`{option.flag}`", option.help, option.default_text] for option in OPTIONS.values()
    ]
    assert table("pipeline.md", "option") == expected


def test_the_documented_keys_of_a_suite_are_the_keys() -> None:
    keys = [re.findall(r"`(\w+)`", row[0]) for row in table("suites.md", "key")]
    assert ["dataset", *CONDITIONS] in keys
