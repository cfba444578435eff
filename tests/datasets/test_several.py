"""Several data sets as one: names, groups, notes and faults of each."""

from __future__ import annotations

import copy
import pickle

import pytest

from tests.helpers.trees import davis_tree, mot_sequence
from vidseg.datasets.masks import Masks
from vidseg.datasets.mot import Mot
from vidseg.datasets.several import Several
from vidseg.errors import DataError, VidsegError
from vidseg.experiment.open import create_dataset, open_dataset
from vidseg.plugins import resolve_several
from vidseg.utils.progress import Quiet


@pytest.fixture
def two(tmp_path):
    """A MOT and a DAVIS folder with one video of a common name, and other pictures."""
    mot_sequence(tmp_path / "train", "camel", seed=9, seq_length=7)
    mot_sequence(tmp_path / "train", "A", seed=8)
    davis_tree(tmp_path / "davis")
    return [Mot(str(tmp_path / "train")), Masks(str(tmp_path / "davis"), void=(7,))]


def test_names_and_groups_are_told_apart_only_where_they_clash(two):
    found = Several(two).videos()
    assert [video.name for video in found] == ["A", "train/camel", "bear", "davis/camel"]
    assert [video.group for video in found] == ["A", "train/camel", "bear", "davis/camel"]
    assert [video.dataset for video in found] == [0, 0, 1, 1]
    assert Several(two).name == "train + davis"


def test_a_video_is_what_it_was(two):
    own, found = two[0].videos()[1], Several(two).videos()[1]
    assert (found.image_key, found.label_key) == (own.image_key, own.label_key)
    assert (found.frame_hashes, found.notes) == (own.frame_hashes, own.notes)
    assert list(found.labelled()) == list(own.labelled())
    assert found.probe() == own.probe()
    assert (found.labels(0).boxes == own.labels(0).boxes).all()
    assert getattr(found, "absent", None) is None
    assert copy.copy(found).name == found.name
    assert pickle.loads(pickle.dumps(found)).name == found.name  # noqa: S301 - its own


def test_folders_of_one_name_get_a_number(tmp_path):
    for seed, folder in enumerate(("x", "y")):
        mot_sequence(tmp_path / folder / "train", "A", seed=seed)
    several = Several([Mot(str(tmp_path / folder / "train")) for folder in ("x", "y")])
    assert [video.name for video in several.videos()] == ["train/A", "train-2/A"]


def test_notes_are_under_the_new_names(two):
    (note,) = Several(two).notes()
    assert note.startswith("train/camel: seqLength says 7")


def test_notes_on_labels_are_under_the_new_names(two, tmp_path):
    for name in ("bear", "camel"):
        (tmp_path / "davis" / "Annotations" / "480p" / name / "00001.png").unlink()
    notes = Several(two).notes()
    sparse = "1 of 4 frames has no mask file and is not labelled"
    assert notes[1:] == [f"bear: {sparse}", f"davis/camel: {sparse}"]


def test_a_fault_of_one_is_found_beside_the_videos_of_the_others(two, tmp_path):
    (tmp_path / "train" / "A" / "gt" / "gt.txt").write_text("nonsense\n")
    tried = Several(two).survey()
    assert [each.name for each in tried if not isinstance(each, VidsegError)] == [
        "train/camel",
        "bear",
        "davis/camel",
    ]
    assert sum(isinstance(each, DataError) for each in tried) == 1
    with pytest.raises(DataError, match=r"gt\.txt"):
        Several(two).videos()


def test_scenes_are_compared_across_data_sets(tmp_path):
    mot_sequence(tmp_path / "a", "one", seed=3, suffix=".png")
    mot_sequence(tmp_path / "b", "other", seed=3, suffix=".png")
    specs = resolve_several("dataset", f"mot:{tmp_path}/a mot:{tmp_path}/b")
    opened = open_dataset(specs, Quiet())
    assert opened.groups["one"] == opened.groups["other"]
    assert isinstance(create_dataset(specs), Several)
    assert isinstance(create_dataset(specs[:1]), Mot)
