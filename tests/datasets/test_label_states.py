"""Which frames of a box file are labelled: the rule, what looks like key frames, what is noted."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.trees import mot_rows, mot_sequence
from vidseg import plugins
from vidseg.datasets.checks import examine
from vidseg.datasets.label_states import RowFrames
from vidseg.datasets.mot import Mot
from vidseg.errors import DataError, PluginError
from vidseg.experiment.open import open_dataset
from vidseg.plugins.spec import parse
from vidseg.utils.progress import Quiet


def sparse_sequence(root, step=5, frames=40, name="MOT16-02"):
    rows = [row for row in mot_rows(frames) if (row[0] - 1) % step == 0]
    return mot_sequence(root, name, frames=frames, rows=rows)


@pytest.mark.parametrize(
    ("rule", "rows", "expected"),
    [
        (None, [0, 5], range(12)),
        ("all", [0, 5], range(12)),
        ("rows", [5, 0, 5], [0, 5]),
        ("rows", [], []),
        ("every:5", [5], [0, 5, 10]),
        ("every:5", [4, 9], [4, 9]),
        ("every:5", [0, 5, 11], [0, 5, 10, 11]),
        ("every:5", [], [0, 5, 10]),
        ("rows", [5, 99], [5]),
    ],
)
def test_the_rule_says_which_frames_are_labelled(rule, rows, expected):
    assert list(RowFrames(rule, rows).labelled(12)) == list(expected)


@pytest.mark.parametrize(
    "rows",
    [
        range(0, 100, 5),
        range(4, 100, 5),
        [*range(0, 100, 5), 99],  # the last frame too
        [f for f in range(0, 100, 5) if f not in (30, 55)],  # some of them show nothing
        [*range(0, 40, 5), *range(400, 450, 5)],  # two stretches
        range(0, 10, 2),
    ],
)
def test_rows_on_a_grid_are_a_question(rows):
    found = RowFrames(None, rows)
    (question,) = found.questions()
    step = np.diff(list(rows))[0]
    assert f"on every {step}" in question.what
    assert f"labelled=every:{step}" in question.hint
    for told in ("all", "rows", f"every:{step}"):
        assert RowFrames(told, rows).questions() == ()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [7],
        [0, 10],  # somebody is seen twice
        [0, 10, 20, 30],
        range(100),
        [f for f in range(100) if f % 7],  # dense, with gaps
        range(40, 60),  # one person, one stretch
        [0, 3, 10, 50, 51],
        [*range(0, 30, 2), *range(30, 60)],
    ],
)
def test_objects_that_come_and_go_are_no_question(rows):
    assert RowFrames(None, rows).questions() == ()


def test_lone_frames_without_a_grid_are_a_question_without_a_step():
    rows = [0, 7, 23, 31, 40, 58, 77, 90, 101]
    (question,) = RowFrames(None, rows).questions()
    assert "9 frames, no two of them neighbours" in question.what
    assert "every" not in question.hint.replace("every one", "")


def test_rows_that_end_early_are_a_note_until_a_rule_leaves_the_rest_out():
    rows = range(60)
    (note,) = RowFrames(None, rows).notes(100)
    assert "no rows after frame 59" in note
    assert "the last 40 frames" in note
    assert RowFrames(None, range(95)).notes(100) == ()
    assert RowFrames(None, [0, 1, 45, 46]).notes(100) == ()  # as long a gap as others
    (told,) = RowFrames("rows", rows).notes(100)
    assert told == "60 of 100 frames are labelled (labelled=rows)"


def test_a_rule_that_the_rows_contradict_is_noted():
    rows = range(0, 100, 5)
    assert "reads the others as empty" in RowFrames("all", rows).notes(100)[0]
    assert RowFrames("every:5", rows).notes(100) == (
        "20 of 100 frames are labelled (labelled=every:5)",
    )
    assert RowFrames("every:10", rows).questions() == ()
    notes = RowFrames("every:7", rows).notes(100)
    assert any("labelled=every:7, but has rows on every 5th frame" in note for note in notes)


def test_mot_is_refused_for_training_until_the_question_is_answered(tmp_path):
    for seed, name in enumerate(("MOT16-02", "MOT16-04")):
        rows = [row for row in mot_rows(40) if (row[0] - 1) % 5 == 0]
        mot_sequence(tmp_path, name, frames=40, rows=rows, seed=seed)
    spec = parse(f"mot:{tmp_path}")
    with pytest.raises(DataError, match=r"MOT16-02 and 1 more video: has rows on every 5th") as err:
        open_dataset(spec, Quiet())
    assert "labelled=every:5" in err.value.hint
    shown = open_dataset(spec, Quiet(), unanswered=True)
    assert "MOT16-02: has rows on every 5th" in shown.notes[0]
    told = open_dataset(parse(f"mot:{tmp_path},labelled=rows"), Quiet())
    assert list(told.videos[0].labelled()) == list(range(0, 40, 5))
    texts = [f.text for f in examine(Mot(str(tmp_path))).findings]
    assert sum("has rows on every 5th" in text for text in texts) == 2


def test_other_classes_show_that_a_frame_was_looked_at(tmp_path):
    rows = [r if i % 5 == 0 else (*r[:7], 3, 1) for i, r in enumerate(mot_rows(40))]
    (video,) = Mot(str(mot_sequence(tmp_path, "MOT16-02", frames=40, rows=rows))).videos()
    assert video.questions == ()
    assert len(video.labelled()) == 40


def test_the_rule_is_in_the_label_key_where_it_changes_something(tmp_path):
    folder = str(sparse_sequence(tmp_path))
    keys = {
        rule: Mot(folder, labelled=rule).videos()[0].label_key
        for rule in (None, "all", "rows", "every:5", "every:10")
    }
    assert keys[None] == keys["all"]
    assert len(set(keys.values())) == 4


def test_a_rule_that_cannot_be_meant_is_refused(tmp_path):
    with pytest.raises(PluginError, match="all, rows, or every:N"):
        plugins.create("dataset", parse(f"mot:{tmp_path},labelled=every:0"))
