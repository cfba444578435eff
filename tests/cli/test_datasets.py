"""``vidseg datasets`` as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.trees import davis_tree, mot_sequence, truncate, virat_tree
from vidseg.cli.main import main


def call(capsys, *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["datasets", *map(str, words)])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_show_tells_what_is_there(tmp_path, capsys):
    for seed, name in enumerate(("MOT17-02-DPM", "MOT17-02-SDP", "MOT17-04-DPM")):
        mot_sequence(tmp_path, name, seed=seed)
    code, out, err = call(capsys, "show", f"mot:{tmp_path}")
    assert code == 0
    assert "3 videos, 2 groups, 15 frames" in out
    cells = [
        word.strip()
        for word in next(line for line in out.splitlines() if "MOT17-04-DPM" in line).split("│")[
            1:-1
        ]
    ]
    # 12x24 of 64x48 pixels
    assert cells == ["MOT17-04-DPM", "MOT17-04", "5", "64x48", "25", "5", "1", "9.4", "0.0"]
    assert "looking for scenes" in err
    assert list(tmp_path.glob("*.png")) == []


def test_show_writes_a_contact_sheet(tmp_path, capsys):
    davis_tree(tmp_path / "DAVIS")
    file = tmp_path / "sheet.png"
    code, out, err = call(capsys, "show", f"masks:{tmp_path}/DAVIS", "--output", file, "-q")
    assert (code, err) == (0, "")
    assert f"contact sheet {file}" in out
    assert Image.open(file).size == (4 * 404 - 4, 2 * 324)
    code, _, _ = call(capsys, "show", f"masks:{tmp_path}/DAVIS", "--output", file, "--frames", 1)
    assert code == 0
    assert Image.open(file).size == (2 * 404 - 4, 324)
    assert {each.name for each in tmp_path.iterdir()} == {"DAVIS", "sheet.png"}


def test_several_data_sets_are_shown_and_checked_as_one(tmp_path, capsys):
    mot_sequence(tmp_path / "mot", "bear", seq_length=9)
    davis_tree(tmp_path / "DAVIS")
    specs = (f"mot:{tmp_path}/mot", f"masks:{tmp_path}/DAVIS")
    code, out, _ = call(capsys, "show", *specs, "-q")
    assert code == 0
    assert "3 videos, 3 groups, 13 frames" in out
    assert {"mot/bear", "DAVIS/bear", "camel"} <= set(out.replace("│", " ").split())
    code, out, _ = call(capsys, "check", " ".join(specs), "-q")
    assert out.count("seqLength") == 1
    assert "wrong  mot/bear: seqLength says 9" in out


@pytest.mark.parametrize(
    ("output", "message"),
    [("sheet.jpg", "is no PNG"), ("absent/sheet.png", "is no folder")],
)
def test_an_output_that_cannot_be_is_refused_first(tmp_path, capsys, output, message):
    code, out, err = call(capsys, "show", "mot:nowhere", "--output", tmp_path / output)
    assert code == 2
    assert out == ""
    assert message in err


def test_show_says_one_line_about_a_fault(tmp_path, capsys):
    folder = mot_sequence(tmp_path, "A")
    truncate(folder / "img1" / "000001.jpg")
    code, out, err = call(capsys, "show", f"mot:{tmp_path}", "-q", "--output", tmp_path / "a.png")
    assert (code, out) == (1, "")
    assert err.startswith("vidseg: error: ")
    assert "000001.jpg: is no complete image" in err
    assert err.count("\n") == 1
    assert [each.name for each in tmp_path.iterdir()] == ["A"]


def test_check_passes_good_data(tmp_path, capsys):
    virat_tree(tmp_path)
    code, out, err = call(capsys, "check", f"virat:{tmp_path}", "--quiet")
    assert (code, err) == (0, "")
    *notes, verdict = out.splitlines()
    assert verdict == "nothing wrong in 2 videos, 2 frames that decode"
    assert all(line.startswith("note   ") for line in notes)


def test_check_lists_faults_and_fails(tmp_path, capsys):
    truncate(mot_sequence(tmp_path, "A") / "img1" / "000003.jpg")
    mot_sequence(tmp_path, "B", seed=1, seq_length=9)
    mot_sequence(tmp_path, "C", truth=False)
    code, out, _ = call(capsys, "check", f"mot:{tmp_path}")
    wrong = [line for line in out.splitlines() if line.startswith("wrong  ")]
    assert code == 1
    assert len(wrong) == 3
    assert any(f"{tmp_path}/A/img1/000003.jpg: is no complete image" in line for line in wrong)
    assert "wrong  B: seqLength says 9, 5 frames exist and are used" in wrong
    assert any(f"{tmp_path}/C/gt/gt.txt: no ground truth" in line for line in wrong)
    assert out.splitlines()[-1] == "3 faults in 3 videos, 9 frames that decode"


def test_one_is_no_plural(tmp_path, capsys):
    mot_sequence(tmp_path, "A", frames=1)
    _, out, _ = call(capsys, "show", f"mot:{tmp_path}")
    assert out.splitlines()[-1] == "1 video, 1 group, 1 frame"
    _, out, _ = call(capsys, "check", f"mot:{tmp_path}")
    assert out.splitlines()[-1] == "nothing wrong in 1 video, 1 frame that decodes"
    truncate(mot_sequence(tmp_path, "B", seed=1) / "img1" / "000003.jpg")
    _, out, _ = call(capsys, "check", f"mot:{tmp_path}")
    assert "note   one faulty video was not compared with the others' pictures" in out
    truncate(mot_sequence(tmp_path, "C", seed=2) / "img1" / "000003.jpg")
    _, out, _ = call(capsys, "check", f"mot:{tmp_path}")
    assert "note   2 faulty videos were not compared with the others' pictures" in out


def test_check_of_nothing(tmp_path, capsys):
    for spec, message in ((f"mot:{tmp_path}", "is empty"), ("mott:x", "did you mean 'mot'?")):
        code, out, err = call(capsys, "check", spec)
        assert code in (1, 2)
        assert out == ""
        assert message in err.splitlines()[-1]


@pytest.mark.real
def test_real_samples_are_shown(samples: Path, tmp_path: Path, capsys) -> None:
    file = tmp_path / "sheet.png"
    code, out, _ = call(capsys, "show", f"virat:{samples}/virat-aerial", "--output", file)
    assert code == 0
    assert "21 videos, 5 groups, 21 frames" in out
    assert Image.open(file).size[0] == 4 * 404 - 4
