"""``vidseg convert`` as a user calls it."""

from __future__ import annotations

import pytest

import vidseg
from tests.helpers.trees import davis_tree, mot_rows, mot_sequence
from vidseg.cli.main import main
from vidseg.errors import DataError


def call(capsys, *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["convert", *map(str, words)])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_it_says_what_was_written_what_is_lost_and_how_to_read_it(tmp_path, capsys):
    mot_sequence(tmp_path / "in", "A", frames=3)
    davis_tree(tmp_path / "DAVIS", ("A",), frames=2)
    specs = (f"mot:{tmp_path}/in", f"masks:{tmp_path}/DAVIS")
    out = tmp_path / "out"
    code, text, err = call(capsys, *specs, "--to", "mot", "--output", out)
    assert code == 0
    assert text.splitlines() == [
        "2 videos, 5 frames; pictures: 5 linked",
        "name  'in/A' is 'in%2FA'",
        "name  'DAVIS/A' is 'DAVIS%2FA'",
        "lost  2 masks: boxes only, the shape is lost",
        "lost  2 boxes: no track of its own: its row has an id that no other frame has",
        f"read it as mot:{out}",
    ]
    assert "writing in/A" in err
    code, _, _ = call(capsys, f"mot:{out}", "--to", "coco", "--output", tmp_path / "c", "-q")
    assert code == 0


def test_labels_that_leave_a_question_are_refused_as_by_run(tmp_path, capsys):
    rows = [row for row in mot_rows(40) if row[0] % 5 == 1]
    mot_sequence(tmp_path / "in", "A", frames=40, rows=rows)
    code, _, err = call(capsys, f"mot:{tmp_path}/in", "--to", "masks", "--output", tmp_path / "o")
    assert code == 1
    assert "labelled=every:5" in err
    spec = f"mot:{tmp_path}/in,labelled=every:5"
    code, text, _ = call(capsys, spec, "--to", "masks", "--output", tmp_path / "o", "-q")
    assert code == 0
    assert "1 video, 40 frames, 8 of them labelled" in text


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--to", "mott", "--output", "o"), 2, "there is no 'mott'; did you mean 'mot'?"),
        (("--to", "mot"), 2, "Missing option '--output'"),
        (("--to", "mot", "--output", "o"), 1, "no such folder"),
    ],
)
def test_mistakes_are_one_line(words, code, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, _, err = call(capsys, "mot:nowhere", *words)
    assert (found, err.count("\n")) == (code, 1)
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_python_has_it_too(tmp_path):
    mot_sequence(tmp_path / "in", "A", frames=2)
    done = vidseg.convert(f"mot:{tmp_path}/in", to="masks", output=tmp_path / "out")
    assert repr(done) == f"Conversion('masks:{tmp_path}/out', videos: 1, frames: 2)"
    assert vidseg.open_dataset(done.spec).videos[0].name == "A"
    with pytest.raises(DataError):
        vidseg.convert("mot:nowhere", to="masks", output=tmp_path / "again")
