"""Every command, link and code block of README.md and docs/ holds what it promises.

Commands of vidseg are run, in small (:mod:`tests.docs.substitutions` lists what is changed).
`make`, `pip` and `mlflow` commands are checked without being run (:data:`tests.docs.desk.CHECKS`):
`.ci/run` installs and tests, tests/end_to_end/test_mlproject.py runs `mlflow run`, and
tests/tracking/test_model.py serves a model.
"""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tests.conftest import ROOT
from tests.docs import pages
from tests.docs.desk import Desk, install_example, lay_out
from tests.docs.pages import PAGES, Command

SLOW = [one for page in PAGES for one in pages.commands(page) if "--executor p" in one.text]
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages name: data, weights; and one store and ledger for all of them."""
    folder = tmp_path_factory.mktemp("things")
    lay_out(folder / "data")
    return folder


@pytest.fixture
def desk(
    things: Path,
    migrated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Desk]:
    """A page's own folder, with the things in it, and the example plugin installed."""
    for thing in (things / "data").iterdir():
        (tmp_path / thing.name).symlink_to(thing)
    shutil.copyfile(migrated, tmp_path / "mlflow.db")
    monkeypatch.setenv("VIDSEG_STORE", str(things / "store"))
    monkeypatch.setenv("VIDSEG_LEDGER", str(things / "ledger"))
    monkeypatch.setattr(sys, "path", [*sys.path, *install_example(tmp_path / "site")])
    monkeypatch.chdir(tmp_path)
    yield Desk(monkeypatch, capsys)
    import mlflow

    mlflow.set_tracking_uri(None)


@by_page
def test_commands_and_code_run_in_order(
    page: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in pages.blocks(page):
        named = re.match(r"# ([\w-]+\.yaml)\n", block.text)
        if block.language == "yaml" and named:
            Path(named[1]).write_text(block.text)
    for command in pages.commands(page):
        desk.run(command)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    names = known_names(page)
    for block in pages.blocks(page):
        if block.language == "python":
            code = "\n" * (block.line - 1) + block.text
            exec(compile(code, str(page), "exec"), names)


def known_names(page: Path) -> dict[str, Any]:
    """Return what a page's Python takes for granted."""
    if page.name != "report.md":
        return {}
    from tests.helpers.reports import paper

    return {"record": paper(["a", "b", "c", "d", "e", "f"])}


@pytest.mark.slow
@pytest.mark.parametrize("command", SLOW, ids=lambda command: command.where)
def test_command_runs_as_it_is_written(command: Command, desk: Desk) -> None:
    desk.run(command, as_it_is=True)


@by_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in pages.links(page):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_relative_to(ROOT), f"{page.name}: {link} is outside the repository"
        if anchor:
            assert anchor in pages.anchors(target), f"{page.name}: {link}"


@by_page
def test_data_blocks_are_well_formed(page: Path) -> None:
    for block in pages.blocks(page):
        if block.language == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict), f"{page.name}:{block.line}"
        if block.language == "toml":
            groups = tomllib.loads(block.text)["project"]["entry-points"]
            assert all(group.startswith("vidseg.") for group in groups)


@by_page
def test_inline_commands_and_options_exist(page: Path) -> None:
    options = {"--help", "--debug"} | {o for c in tree().values() for o in options_of(c)}
    options |= {"--env-manager", "--experiment-name", "--run-name"}  # of `mlflow run`
    for code in pages.inline(page):
        words = code.split()
        if words[0] == "vidseg" and len(words) > 1 and re.fullmatch("[a-z]+", words[1]):
            assert words[1] in tree(), f"{page.name}: `{code}`"
        for word in words if words[0] in ("vidseg", *options) else words[:1]:
            if re.fullmatch(r"--[a-z-]+", word):
                assert word in options, f"{page.name}: `{code}`"


def tree() -> dict[str, click.Command]:
    """Return every command by its words."""
    from vidseg.cli.main import COMMANDS, vidseg

    context = click.Context(vidseg)
    found = {name: vidseg.get_command(context, name) for name in COMMANDS}
    commands = {name: command for name, command in found.items() if command is not None}
    for name, command in list(commands.items()):
        if isinstance(command, click.Group):
            commands |= {f"{name} {sub}": one for sub, one in command.commands.items()}
    return commands


def options_of(command: click.Command) -> set[str]:
    return {text for param in command.params for text in (*param.opts, *param.secondary_opts)}


def test_specs_of_the_page_are_read_as_it_says() -> None:
    from vidseg.plugins.spec import parse

    (block,) = [b for b in pages.blocks(ROOT / "docs" / "specs.md") if b.language == "spec"]
    for line in block.text.splitlines():
        text, meaning = re.split(r"\s+= (?=\{)", line)
        assert parse(text).mapping() == yaml.safe_load(meaning), line
        assert parse(yaml.safe_load(meaning)) == parse(text), line


def test_every_plugin_stands_on_its_page() -> None:
    from vidseg import plugins

    rooms = {
        "dataset": "data",
        "sampler": "samplers",
        "extractor": "extractors",
        "classifier": "classifiers",
        "executor": "suites",
        "tracker": "annotation",
    }
    for kind, name in rooms.items():
        text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        for plugin in plugins.available(kind):
            if plugin.package == "vidseg":
                named = re.search(rf"`{re.escape(plugin.name)}[`:]|^## {plugin.name}$", text, re.M)
                assert named, f"docs/{name}.md does not name the {kind} {plugin.name}"


def test_every_suite_and_page_is_listed() -> None:
    from vidseg.suites.suite import shipped

    text = (ROOT / "docs" / "suites.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in text for name in shipped())
    assert {f"docs/{page.name}" for page in PAGES if page.parent.name == "docs"} <= set(
        pages.links(ROOT / "README.md")
    )


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").glob("*"))
    assert pictures
    assert all(picture.stat().st_size < 300_000 for picture in pictures)
