"""Sequences by name: patterns, and patterns that fit nothing."""

from __future__ import annotations

import pytest

from tests.helpers.trees import mask_tree, mot_sequence
from vidseg import plugins
from vidseg.datasets.selection import Selection
from vidseg.errors import DataError, UsageError

NAMES = ["MOT17-02-DPM", "MOT17-02-SDP", "MOT17-04-DPM", "7"]


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        ((), (), NAMES),
        (("*-DPM",), (), ["MOT17-02-DPM", "MOT17-04-DPM"]),
        ((), ("*-DPM", 7), ["MOT17-02-SDP"]),
        (("MOT17-0[24]-*",), ("*-02-*",), ["MOT17-04-DPM"]),
        (("7", "MOT17-02-SDP"), (), ["MOT17-02-SDP", "7"]),
    ],
)
def test_patterns(include, exclude, wanted):
    assert Selection(include, exclude, "here").of(NAMES, str) == wanted


@pytest.mark.parametrize(
    ("include", "exclude", "message"),
    [
        (("MOT17-02-DMP",), (), "here: include=MOT17-02-DMP fits no sequence; did you mean"),
        ((), ("mot17-*",), "here: exclude=mot17-* fits no sequence; there are MOT17-02-DPM, "),
        (("7",), ("?",), "here: include and exclude leave none of 4 sequences"),
    ],
)
def test_a_pattern_that_fits_nothing_is_refused(include, exclude, message):
    with pytest.raises(UsageError) as caught:
        Selection(include, exclude, "here").of(NAMES, str)
    assert message in str(caught.value)


def test_specs_name_sequences(tmp_path):
    for seed, name in enumerate(("MOT16-02", "MOT16-05", "MOT16-09")):
        mot_sequence(tmp_path / "mot", name, seed=seed)
    one = plugins.create("dataset", f"mot:{tmp_path}/mot,exclude=MOT16-05")
    assert [video.name for video in one.videos()] == ["MOT16-02", "MOT16-09"]
    two = plugins.create("dataset", f"mot:{tmp_path}/mot,include=*2,include=*9,exclude=*09")
    assert [video.name for video in two.videos()] == ["MOT16-02"]


def test_a_sequence_that_is_left_out_may_be_broken(tmp_path):
    mot_sequence(tmp_path / "mot", "MOT16-02")
    mot_sequence(tmp_path / "mot", "MOT16-05", truth=False)
    with pytest.raises(DataError, match="no ground truth"):
        plugins.create("dataset", f"mot:{tmp_path}/mot").videos()
    assert len(plugins.create("dataset", f"mot:{tmp_path}/mot,exclude=*5").videos()) == 1
    root = mask_tree(tmp_path / "masks", ("a", "b"))
    for file in (root / "masks" / "b").iterdir():
        file.unlink()
    (root / "masks" / "b").rmdir()
    with pytest.raises(DataError, match="no mask for video 'b'"):
        plugins.create("dataset", f"masks:{root}").videos()
    assert [v.name for v in plugins.create("dataset", f"masks:{root},include=a").videos()] == ["a"]
