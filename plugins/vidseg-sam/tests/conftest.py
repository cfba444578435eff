"""Makes the package visible to vidseg's loader, whether or not it is installed."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def visible(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the metadata that an installation writes, where there is none."""
    monkeypatch.syspath_prepend(str(HERE / "src"))
    if any(found.metadata["Name"] == "vidseg-sam" for found in metadata.distributions()):
        return
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    site = tmp_path_factory.mktemp("site")
    info = site / f"vidseg_sam-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(site))
