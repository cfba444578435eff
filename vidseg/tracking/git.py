"""Tells MLflow which code ran: commit, branch, dirty flag and repository of the vidseg checkout.

MLflow's own provider looks at the main file, which is no part of a repository for a console
script; this one looks at the package that does the work. It is found through the entry point
``mlflow.run_context_provider``, and registered by :func:`vidseg.tracking.store.connect` where no
distribution is installed. It imports nothing of MLflow: MLflow imports it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

COMMIT = "mlflow.source.git.commit"
BRANCH = "mlflow.source.git.branch"
DIRTY = "mlflow.source.git.dirty"
REPOSITORY = "mlflow.source.git.repoURL"

_TIMEOUT = 10.0


class GitContext:
    """An ``mlflow.run_context_provider`` that speaks for runs of vidseg only."""

    def in_context(self) -> bool:
        """Return whether this process logs vidseg's runs, from a git checkout.

        Installed beside other people's code, the provider must not sign their runs.
        """
        return "vidseg.tracking.store" in sys.modules and bool(self.tags())

    def tags(self) -> dict[str, str]:
        """Return MLflow's git tags; none where the package is not tracked by git."""
        return dict(git_tags(Path(__file__).parent))


@cache
def git_tags(package: Path) -> dict[str, str]:
    """Return commit, branch (none when detached), dirty flag and URL of ``package``'s repository.

    The dirty flag is ``"true"`` when a tracked file of the repository differs from the commit, or
    an untracked one lies in ``package``. A folder that merely lies inside a foreign repository, as
    a virtual environment does, has no tags.
    """
    if not (_git(package, "ls-files", "--", "__init__.py") and (commit := _head(package))):
        return {}
    tags = {COMMIT: commit, DIRTY: "true" if _changed(package) else "false"}
    if branch := _git(package, "symbolic-ref", "--quiet", "--short", "HEAD"):
        tags[BRANCH] = branch
    if url := _git(package, "config", "--get", "remote.origin.url"):
        tags[REPOSITORY] = without_credentials(url)
    return tags


def without_credentials(url: str) -> str:
    """Return ``url`` without user name, password, query: ``https://token@host/x`` -> ``https://host/x``.

    The ``git@host:path`` form holds no secret and stays.
    """
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _head(package: Path) -> str:
    return _git(package, "rev-parse", "--verify", "--quiet", "HEAD")


def _changed(package: Path) -> bool:
    tracked = _git(package, "status", "--porcelain", "--untracked-files=no")
    return bool(tracked or _git(package, "status", "--porcelain", "--", "."))


def _git(folder: Path, *arguments: str) -> str:
    # Inside a git hook these variables name another repository than the folder's.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            env=clean,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
