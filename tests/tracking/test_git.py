"""Git facts of the code that ran."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vidseg.tracking import git as context


def git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *author, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package folder in a repository of its own."""
    context.git_tags.cache_clear()
    git(tmp_path, "init", "-q", "-b", "trunk")
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return folder


def test_commit_branch_url_and_clean(package: Path) -> None:
    git(package, "remote", "add", "origin", "https://me:token@example.org/team/code.git")
    assert context.git_tags(package) == {
        "mlflow.source.git.commit": git(package, "rev-parse", "HEAD"),
        "mlflow.source.git.branch": "trunk",
        "mlflow.source.git.dirty": "false",
        "mlflow.source.git.repoURL": "https://example.org/team/code.git",
    }


@pytest.mark.parametrize(
    ("file", "dirty"),
    [("package/__init__.py", "true"), ("package/new.py", "true"), ("mlflow.db", "false")],
)
def test_dirty_is_a_changed_file_or_a_new_one_in_the_package(
    package: Path, file: str, dirty: str
) -> None:
    (package.parent / file).write_text("changed")
    assert context.git_tags(package)["mlflow.source.git.dirty"] == dirty


def test_detached_head_has_no_branch(package: Path) -> None:
    git(package, "checkout", "-q", "--detach")
    assert "mlflow.source.git.branch" not in context.git_tags(package)


def test_package_that_merely_lies_in_a_repository_has_no_tags(package: Path) -> None:
    installed = package.parent / "venv" / "package"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert context.git_tags(installed) == {}


def test_folder_outside_git_has_no_tags(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("plain")
    monkeypatch.setenv("PATH", "")
    assert context.git_tags(folder) == {}


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://token@host/a.git", "https://host/a.git"),
        ("https://u:p@host:8443/a?x=secret#y", "https://host:8443/a"),
        ("git@host:team/a.git", "git@host:team/a.git"),
        ("ssh://git@host/a.git", "ssh://host/a.git"),
        ("/srv/a.git", "/srv/a.git"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ("postgresql://u:p@db/mlflow", "postgresql://db/mlflow"),
    ],
)
def test_credentials_are_dropped(url: str, clean: str) -> None:
    assert context.without_credentials(url) == clean


def test_provider_speaks_for_vidseg_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(context, "git_tags", lambda package: {context.COMMIT: "abc"})
    monkeypatch.setitem(sys.modules, "vidseg.tracking.store", context)
    assert context.GitContext().in_context()
    assert context.GitContext().tags() == {context.COMMIT: "abc"}
    monkeypatch.delitem(sys.modules, "vidseg.tracking.store")
    assert not context.GitContext().in_context()
