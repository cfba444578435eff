"""``vidseg select`` as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.trees import picture, truncate
from vidseg.cli import select as command
from vidseg.cli.main import main
from vidseg.curate.exports import EXPORTS


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["select", *map(str, words)])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    for name, seed in (("yard", 0), ("gate", 4)):
        (tmp_path / "in" / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(picture(i, seed=seed)).save(tmp_path / "in" / name / f"{i:04d}.png")
    return tmp_path / "in"


def test_the_list_is_printed_where_no_folder_is_named(footage, capsys):
    code, out, err = call(capsys, footage, "--n", 2, "--by", "uniform", "--quiet")
    assert (code, err) == (0, "")
    expected = [footage / video / f"{i:04d}.png" for video in ("gate", "yard") for i in (1, 4)]
    assert out.splitlines() == [str(path) for path in expected]
    code, out, _ = call(capsys, footage, "--n", 2, "--by", "uniform")
    assert "4 frames, chosen by uniform:n=2,short=all" in out
    assert "Of 10,000 frames" in out


def test_a_broken_video_is_one_line_and_exit_code_1(footage, capsys, tmp_path):
    truncate(footage / "gate" / "0003.png")
    code, out, err = call(capsys, footage, "--n", 2, "-q", "--output", tmp_path / "out")
    assert code == 1
    (line,) = err.splitlines()
    assert line.startswith("vidseg: error: gate is left out: ")
    assert "0003.png" in line
    assert out.splitlines()[0].split() == ["json", str(tmp_path / "out" / "selection.json")]


def test_exports_need_a_folder(footage, capsys):
    code, out, err = call(capsys, footage, "--export", "yolo")
    assert (code, out) == (2, "")
    assert "--export needs --output" in err
    assert command.EXPORTS == EXPORTS


def test_nothing_readable_is_an_error(footage, capsys):
    code, _, err = call(capsys, footage / "gate" / "0001.png", "-q")
    assert code == 2
    assert "is no clip; give its folder" in err
