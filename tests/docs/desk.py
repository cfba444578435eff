"""A folder that holds what the documentation names, and the running of its commands there."""

from __future__ import annotations

import itertools
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.docs.pages import Command
from tests.docs.substitutions import substituted
from tests.helpers.label_trees import coco_tree, cvat_tree, yolo_tree, youtube_vos_tree
from tests.helpers.movies import plain_clip
from tests.helpers.trees import (
    davis_tree,
    mask_tree,
    mask_values,
    mot_rows,
    mot_sequence,
    picture,
    virat_tree,
)

SEQUENCES = ("MOT16-02", "MOT16-04", "MOT16-05", "MOT16-09", "MOT16-10", "MOT16-11", "MOT16-13")
KINDS = ("dataset", "sampler", "extractor", "classifier", "executor")
SHELL = ("mkdir", "ln")
"""Commands that a page may use beside ours; they are run as they are."""


def lay_out(folder: Path) -> None:
    """Make the data that the pages name, small."""
    for seed, name in enumerate(SEQUENCES):
        mot_sequence(folder / "MOT16" / "train", name, frames=21, seed=seed)
    (folder / "drafts").mkdir()
    for name in SEQUENCES:
        rows = (",".join(f"{value:g}" for value in row) for row in mot_rows(21))
        (folder / "drafts" / f"{name}.txt").write_text("\n".join(rows))
    davis_tree(folder / "DAVIS", frames=3)
    for name in ("MOT17-04-DPM", "MOT17-04-SDP", "MOT17-05-SDP"):
        mot_sequence(folder / "MOT17" / "train", name, frames=3)
    yolo_tree(folder / "road", {f"cam{n}": range(6) for n in (1, 2)}, names=("person", "car"))
    text = "train: images/train\nval: images/val\nnames: {0: person}\n"
    for split, frames in (("train", (0, 1, 3, 4)), ("val", (2, 5))):
        cameras = dict.fromkeys(("cam1", "cam2"), frames)
        yolo_tree(folder / "my-yolo", cameras, split=split, yaml=text)
    coco_tree(folder / "people", {f"cam{n}": range(6) for n in (1, 2)})
    for seed, name in enumerate(("gate", "yard")):
        cvat_tree(folder / "exports" / name, seed=seed)
    youtube_vos_tree(folder / "YouTube-VOS")
    mask_tree(folder / "my-videos", ("entrance", "yard", "street"), frames=12)
    lay_out_aerial_and_clips(folder)
    lay_out_footage(folder / "footage")
    lay_out_key_frames(folder / "keyed")
    save_squeezenet(folder / "squeezenet1_1.safetensors")
    # only its name is needed: VGG16 is never built here
    (folder / "vgg16.safetensors").write_bytes(b"")
    (folder / "weights").mkdir()
    (folder / "weights" / "squeezenet1_1.safetensors").symlink_to(
        folder / "squeezenet1_1.safetensors"
    )


def lay_out_aerial_and_clips(folder: Path) -> None:
    """Make the annotation of three aerial sequences, frames of two, and two clips with truth."""
    virat_tree(folder / "VIRAT", ("9", "21", "33"))
    virat_tree(folder / "VIRAT-frames", ("9", "21"), footage="folder")
    clips = folder / "cameras"
    clips.mkdir()
    for seed, name in enumerate(("entrance", "yard")):
        plain_clip(clips / f"{name}.mp4", [picture(i, seed=seed) for i in range(6)])
    rows = (",".join(f"{value:g}" for value in row) for row in mot_rows(6))
    (clips / "entrance.txt").write_text("\n".join(rows))
    plain_clip(clips / "yard_mask.mp4", [np.dstack([mask_values(i)] * 3) for i in range(6)])


def lay_out_footage(folder: Path) -> None:
    """Make a clip and a folder of pictures without labels."""
    (folder / "yard").mkdir(parents=True)
    plain_clip(folder / "gate.mp4", [picture(i, seed=21) for i in range(30)])
    for i in range(12):
        Image.fromarray(picture(i, seed=22)).save(folder / "yard" / f"{i:04d}.jpg")


def lay_out_key_frames(folder: Path) -> None:
    """Make two MOT sequences with rows on every fifth frame."""
    for seed, name in enumerate(("street", "yard")):
        sequence = mot_sequence(folder, name, frames=31, seed=seed)
        truth = sequence / "gt" / "gt.txt"
        rows = truth.read_text().splitlines()
        kept = [row for row in rows if (int(row.split(",")[0]) - 1) % 5 == 0]
        truth.write_text("\n".join(kept) + "\n")


def save_squeezenet(file: Path) -> None:
    """Write weights of SqueezeNet 1.1 that nobody trained."""
    import torch
    from safetensors.torch import save_file
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    save_file(squeezenet1_1(weights=None).state_dict(), file)


def install_example(site: Path) -> list[str]:
    """Write the metadata that ``pip install ./plugins/vidseg-example`` writes; return its paths."""
    place = ROOT / "plugins" / "vidseg-example"
    project = tomllib.loads((place / "pyproject.toml").read_text())["project"]
    info = site / f"vidseg_example-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return [str(site), str(place / "src")]


class Desk:
    """Runs the commands of one page, in order, in one folder."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = patch, capture

    def run(self, command: Command, *, as_it_is: bool = False) -> None:
        """Run or check one command; fails with the page, the line and what was printed."""
        words = shlex.split(command.text)
        with self._patch.context() as patch:
            while "=" in words[0]:
                name, _, value = words.pop(0).partition("=")
                patch.setenv(name, value.replace("$PWD", str(Path.cwd())))
            tool = Path(words[0]).name
            if tool == "vidseg":
                self._vidseg(command, words[1:] if as_it_is else substituted(words[1:]))
            elif tool in SHELL:
                subprocess.run(["bash", "-c", command.text], check=True, timeout=60)
            else:
                CHECKS[tool](words, command.where)

    def _vidseg(self, command: Command, words: list[str]) -> None:
        from vidseg.cli.main import main

        self._patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        self._capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(words)
        printed = self._capture.readouterr()
        told = f"{command.where}: {command.text}\nrun as: vidseg {shlex.join(words)}\n"
        told += printed.out + printed.err
        if not command.errors:
            assert ended.value.code == 0, told
            check_specs(words)
            return
        assert ended.value.code not in (0, 70), told
        for line in command.errors:
            parts = " ".join(line.split()).split("...")
            assert all(part.strip() in printed.err for part in parts), told


def check_specs(words: list[str]) -> None:
    """Construct what every ``--extractor`` and the like names, replaced ones included."""
    from vidseg import plugins

    for option, spec in itertools.pairwise(words):
        if option.removeprefix("--") in KINDS:
            plugins.create(option.removeprefix("--"), spec)


def check_make(words: list[str], where: str) -> None:
    """The target exists; what it does is what `make` does in continuous integration."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    for target in words[1:]:
        assert any(line.startswith(f"{target}:") for line in lines), f"{where}: no target {target}"


def check_python(words: list[str], where: str) -> None:
    """Making a virtual environment and installing into it; `.ci/run` does both."""
    if words[1:3] == ["-m", "venv"]:
        return
    assert words[1:4] == ["-m", "pip", "install"], where
    check_pip(words[2:], where)


def check_pip(words: list[str], where: str) -> None:
    """The local folders and files that are named exist, and so do extras."""
    assert words[1] == "install", where
    named = [word for word in words[2:] if word not in ("-c", "-e")]
    for word in named:
        assert (ROOT / word).exists(), f"{where}: {word}"


def check_mlflow(words: list[str], where: str) -> None:
    """MLflow's own parser takes it; `mlflow run` runs in tests/end_to_end/test_mlproject.py."""
    import yaml
    from mlflow.cli import cli

    command: click.Command = cli
    rest, context = words[1:], click.Context(cli)
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0])
        assert found is not None, f"{where}: mlflow has no {rest[0]}"
        command, rest = found, rest[1:]
    parsed = command.make_context(words[1], rest).params
    if words[1] != "run":
        return
    points = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    entry = points[parsed["entry_point"]]["parameters"]
    for given in parsed["param_list"]:
        assert given.partition("=")[0] in entry, f"{where}: MLproject has no {given}"


CHECKS = {
    "make": check_make,
    "mlflow": check_mlflow,
    "pip": check_pip,
    "python": check_python,
    f"python{sys.version_info[0]}.{sys.version_info[1]}": check_python,
    "python3.11": check_python,
}
