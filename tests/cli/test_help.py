"""Help imports nothing heavy, and a wrong word is one clear line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from vidseg import __version__
from vidseg.cli.main import COMMANDS, vidseg

ROOT = Path(__file__).parents[2]
HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "mlflow",
    "cv2",
    "sklearn",
    "matplotlib",
    "scipy",
    "numba",
    "av",
    "numpy",
    "pydantic",
}
DRIVER = """
import json, runpy, sys
sys.argv = ["vidseg", *sys.argv[1:]]
try:
    runpy.run_module("vidseg", run_name="__main__")
except SystemExit as end:
    code = end.code
print("\\x1e" + json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def vidseg_in_a_process(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vidseg", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)


def commands() -> list[tuple[str, ...]]:
    """Return the words of every command and subcommand, from the commands themselves."""
    found: list[tuple[str, ...]] = [()]
    context = click.Context(vidseg)
    for name in COMMANDS:
        found.append((name,))
        command = vidseg.get_command(context, name)
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in command.list_commands(context)]
    return found


def test_no_help_imports_anything_heavy():
    for words in commands():
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, *words, "--help"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
        )
        text, _, end = done.stdout.rpartition("\x1e")
        code, modules = json.loads(end)
        assert code == 0, (words, done.stderr)
        assert " ".join(["Usage: vidseg", *words]) in text
        assert not HEAVY & set(modules), words
        assert done.stderr == ""


def test_the_static_help_names_every_command():
    text = vidseg.get_help(click.Context(vidseg, info_name="vidseg"))
    for name, (_, line) in COMMANDS.items():
        assert name in text
        assert line.partition(" ")[0] in text


def test_every_option_is_explained():
    context = click.Context(vidseg)
    for name in COMMANDS:
        command = vidseg.get_command(context, name)
        inner = [command]
        if isinstance(command, click.Group):
            inner += [command.get_command(context, one) for one in command.list_commands(context)]
        for one in inner:
            assert one.help, one.name
            options = [p for p in one.params if isinstance(p, click.Option)]
            assert all(option.help for option in options), one.name


def test_the_version_is_the_packages():
    done = vidseg_in_a_process("--version")
    assert done.returncode == 0
    assert __version__ in done.stdout


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["runn"], ["'runn'", "Did you mean 'run'?"]),
        (["plugins", "lst"], ["'lst'", "Did you mean 'list'?"]),
        (["run", "--samplr", "20"], ["'--samplr'", "'--sampler'"]),
        (["run", "--seed", "many"], ["--seed", "'many'"]),
        (["run", "--budget", "papr"], ["--budget", "'papr'", "equal-steps"]),
        (["run", "--sampler", "succesive"], ["no sampler 'succesive'", "mean 'successive'?"]),
        (["run", "--sampler", "successive:strt=3"], ["no parameter 'strt'", "mean 'start'?"]),
        (["run", "--sampler", "successive:n=0"], ["n=0 is refused", "int (>= 1)"]),
        (["run", "--sampler", "successive:n=1,2"], ["'2' has no key"]),
        (["run", "--split", "k-fold:folds=2"], ["no parameter 'folds'", "it takes k"]),
        (["run", "--image-size", "big"], ["image_size", "'big' is not a size", "320x180"]),
        (["run", "--threshold", "high"], ["'high' is refused; threshold is a number or inner"]),
        (["run", "--max-time", "0"], ["0 is refused; max_time is a number (> 0)"]),
        (
            ["suite", "run", "quickstart", "--threshold", "high"],
            ["threshold, as the command line has it: 'high' is refused"],
        ),
        (["run", "--config", "/nowhere.yaml"], ["--config", "/nowhere.yaml"]),
        (["plugins", "show", "sampler", "200"], ["no sampler '200'", "did you mean '20'?"]),
        (["plugins", "show", "smpler", "20"], ["no kind 'smpler'", "sampler"]),
        (["run", "--store-limit", "20"], ["--store-limit", "'20' has no unit", "20GB"]),
        (["store", "prune", "--max-size", "5XB"], ["--max-size", "'5XB'"]),
    ],
)
def test_a_wrong_word_is_one_clear_line(words, parts):
    done = vidseg_in_a_process(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if "rror:" in line]
    assert errors == done.stderr.splitlines()[-1:]
    for part in parts:
        assert part in errors[0]


@pytest.mark.parametrize("words", [[], ["store"], ["runs"], ["datasets"], ["suite"]])
def test_a_bare_group_prints_its_help_and_no_error(words):
    done = vidseg_in_a_process(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(" ".join(["Usage: vidseg", *words, "[OPTIONS] COMMAND"]))
    assert done.stderr == vidseg_in_a_process(*words, "--help").stdout


def test_debug_shows_the_traceback_before_the_line():
    done = vidseg_in_a_process("run", "--sampler", "succesive", "--debug")
    assert done.returncode == 2
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert "registry.py" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("vidseg: error: there is no sampler")


def test_help_names_the_defaults_that_a_run_takes():
    from vidseg.experiment.config import DEFAULTS

    run = vidseg.get_command(click.Context(vidseg), "run")
    assert run is not None
    told = {}
    for option in run.params:
        found = re.search(r"\[default: ([^\],]+)", getattr(option, "help", None) or "")
        if found and isinstance(DEFAULTS.get(option.name or ""), str | int | float):
            told[option.name] = (found[1], DEFAULTS[option.name or ""])
    assert {"classifier", "sampler", "split", "image_size", "memory_budget"} <= told.keys()
    for name, (said, default) in told.items():
        if not isinstance(default, bool):
            assert said == str(default) or float(said) == default, name
