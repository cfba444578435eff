"""YouTube-VOS folders: sparse palette masks, objects by category, broken meta.json."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.helpers.label_trees import youtube_vos_tree
from tests.helpers.trees import mask_values
from vidseg.datasets.base import ClassCount
from vidseg.datasets.youtube_vos import YoutubeVos
from vidseg.errors import DataError, UsageError
from vidseg.types import Size


def test_masks_on_every_fifth_frame(tmp_path):
    root = youtube_vos_tree(tmp_path)
    for place in (root, root / "train"):
        data = YoutubeVos(str(place))
        assert data.name == "train"
        assert [video.name for video in data.videos()] == ["a1", "b2"]
    video = data.videos()[0]
    assert video.probe() == (10, Size(48, 64), None)
    assert list(video.labelled()) == [0, 5]
    assert "a1: 2 of 10 frames are labelled" in data.notes()
    expected = np.where(mask_values(5) > 0, 1, -1)
    expected[-4:] = 1
    np.testing.assert_array_equal(video.labels(5).mask, expected)
    with pytest.raises(DataError, match="frame 3 is not labelled"):
        video.labels(3)


def test_classes(tmp_path):
    root = youtube_vos_tree(tmp_path)
    data = YoutubeVos(str(root), classes=("person",))
    mask = data.videos()[1].labels(5).mask
    assert (mask[-4:] == -1).all()
    assert (mask[:-4] == np.where(mask_values(5) > 0, 1, -1)[:-4]).all()
    assert data.classes() == [
        ClassCount("dog", 0, 2, 2, "background"),
        ClassCount("person", 1, 4, 4, "foreground"),
    ]
    ignored = YoutubeVos(str(root), ignore_classes=("dog",)).videos()[1].labels(5).mask
    assert (ignored[-4:] == 0).all()
    with pytest.raises(UsageError, match="no class 'persn'; did you mean 'person'"):
        YoutubeVos(str(root), classes=("persn",)).videos()


def test_without_meta(tmp_path):
    root = youtube_vos_tree(tmp_path)
    (root / "train" / "meta.json").unlink()
    data = YoutubeVos(str(root))
    assert (data.videos()[0].labels(0).mask[-4:] == 1).all()
    assert data.classes() == []
    with pytest.raises(UsageError, match=r"no meta\.json says which object"):
        YoutubeVos(str(root), classes=("person",))


def test_folders_that_contradict_each_other(tmp_path):
    root = youtube_vos_tree(tmp_path)
    (root / "train" / "JPEGImages" / "a1" / "00005.jpg").unlink()
    with pytest.raises(DataError, match=r"a1/00005\.png: no frame for this mask"):
        YoutubeVos(str(root)).videos()
    (root / "train" / "Annotations" / "b2").rename(tmp_path / "b2")
    errors = YoutubeVos(str(root)).survey()
    assert "no masks for this video" in str(errors[1])
    with pytest.raises(DataError, match="no folder JPEGImages"):
        YoutubeVos(str(root), split="valid")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is no JSON"),
        ("[]", "has no videos"),
        ("[" * 100_000, "is no JSON"),
        (json.dumps({"videos": {"a1": 3}}), "video 'a1' has no objects"),
        (json.dumps({"videos": {"a1": {"objects": {"x": {"category": "a"}}}}}), "object 'x' of"),
        (json.dumps({"videos": {"a1": {"objects": {"999": {"category": "a"}}}}}), "object '999'"),
        (json.dumps({"videos": {"a1": {"objects": {"1": {"frames": []}}}}}), "object '1' of video"),
    ],
)
def test_meta_that_is_refused(tmp_path, text, why):
    root = youtube_vos_tree(tmp_path)
    (root / "train" / "meta.json").write_text(text)
    with pytest.raises(DataError, match=why):
        YoutubeVos(str(root)).videos()


def test_a_video_that_meta_lacks(tmp_path):
    root = youtube_vos_tree(tmp_path)
    (root / "train" / "meta.json").write_text(json.dumps({"videos": {}}))
    with pytest.raises(UsageError, match="there is no class 'person'"):
        YoutubeVos(str(root), classes=("person",)).videos()
    assert len(YoutubeVos(str(root)).videos()) == 2
