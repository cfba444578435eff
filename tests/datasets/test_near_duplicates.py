"""Two pictures of one place are found in every version; pictures of two places never."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from benchmarks._versions import VERSIONS, compressed, cropped
from benchmarks._versions import mirrored as flip
from tests.datasets.test_scenes import Clip, scene
from vidseg.datasets import alike
from vidseg.datasets.alike import find_alike
from vidseg.datasets.descriptors import describe, mirrored, pack, unpack
from vidseg.datasets.near_duplicates import LISTED, compare, compare_all
from vidseg.datasets.scenes import check_scenes
from vidseg.datasets.shortlist import Shortlist
from vidseg.store.fact_cache import FactCache
from vidseg.utils.progress import Quiet


@pytest.fixture(scope="module")
def takes() -> list[list[np.ndarray]]:
    return [scene(seed, 9, size="128x72") for seed in range(4)]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_of_a_take_is_one_scene(takes, version: str):
    own = [Clip("a", takes[0]), Clip("b", VERSIONS[version](takes[0])), Clip("c", takes[1])]
    report = check_scenes(own)
    assert report.groups == {"a": "a", "b": "a", "c": "c"}
    (line,) = report.copies + report.likely
    assert line.startswith("b shows the same" if version == "second half" else "a (frame ")
    assert ("mirrored" in line) == (version == "mirrored")
    assert report.notes == ()


def test_six_versions_are_one_scene_in_any_order(takes):
    clips = [Clip(name, make(takes[0])) for name, make in VERSIONS.items()]
    clips += [Clip("take", takes[0]), Clip("other", takes[1])]
    for order in (clips, clips[::-1]):
        groups = check_scenes(order).groups
        assert len(set(groups.values())) == 2
        assert list(groups.values()).count(groups["take"]) == 7


def test_the_order_of_two_pictures_does_not_matter(takes):
    first, *others = (describe(each) for each in (takes[0][0], *VERSIONS["10 % cropped"](takes[0])))
    for other in others:
        assert compare(first, other) == compare(other, first)


def test_takes_of_different_places_have_nothing_in_common(takes):
    described = [[describe(take[i]) for i in (0, 4, 8)] for take in takes]
    most = max(
        compare_all(one, other)[0].inliers for one, other in itertools.combinations(described, 2)
    )
    assert most < 10


def test_mirrored_features_are_those_of_the_mirrored_picture(takes):
    image = takes[0][0]
    own, extracted = mirrored(describe(image)), describe(image[:, ::-1])
    assert mirrored(own).vectors.tobytes() == describe(image).vectors.tobytes()
    distance = np.abs(own.points[:, None] - extracted.points).sum(2)
    nearest = distance.argmin(1)
    near = distance[np.arange(len(nearest)), nearest] < 0.5
    assert near.mean() > 0.6
    pairs = own.vectors[near].astype(float), extracted.vectors[nearest[near]].astype(float)
    likeness = (pairs[0] * pairs[1]).sum(1) / 512**2
    assert np.median(likeness) > 0.95


def test_a_shared_caption_does_not_merge(takes):
    logo = np.random.default_rng(0).integers(0, 2, (6, 14), np.uint8) * 255
    stamp = cv2.resize(logo, (70, 30), interpolation=cv2.INTER_NEAREST)[..., None]
    clips = []
    for number in range(2):
        frames = [cv2.resize(frame, (320, 180)) for frame in takes[number]]
        for frame in frames:
            frame[5:35, 5:75] = stamp
        clips.append(Clip(f"v{number}", frames))
    report = check_scenes(clips)
    assert len(set(report.groups.values())) == 2
    (note,) = report.notes
    assert "may be a shared caption or logo" in note


def test_blank_and_tiny_pictures_have_no_features():
    noise = np.random.default_rng(1).integers(100, 106, (90, 160, 3), np.uint8)
    for image in (np.zeros((90, 160, 3), np.uint8), noise, np.eye(9, dtype=np.uint8)[..., None]):
        image = np.broadcast_to(image, (*image.shape[:2], 3))
        own = describe(image)
        assert not len(own.points)
        assert compare(own, own).inliers == 0
        assert len(unpack(pack(own)).points) == 0


def test_features_are_kept_as_they_are(takes):
    own = describe(takes[0][0])
    again = unpack(pack(own))
    assert np.array_equal(own.vectors, again.vectors)
    assert np.abs(own.points - again.points).max() <= 1 / 64
    assert compare(own, again).same_place


def test_the_second_time_nothing_is_decoded_or_compared(takes, tmp_path, monkeypatch):
    clips = [Clip("a", takes[0]), Clip("b", flip(takes[0])), Clip("c", takes[1])]
    memory = FactCache(tmp_path)
    first = check_scenes(clips, memory=memory)
    assert first.likely
    again = [Clip(clip.name, clip.pictures) for clip in clips]
    monkeypatch.setattr(alike, "compare_all", None)
    assert check_scenes(again[::-1], memory=memory).groups == {"c": "c", "b": "b", "a": "b"}
    assert check_scenes(again, memory=memory) == first
    assert not any(clip.asked for clip in again)


def test_a_new_video_is_compared_alone(takes, tmp_path, monkeypatch):
    compared = []

    def counting(one, other):
        compared.append(1)
        return compare_all(one, other)

    monkeypatch.setattr(alike, "compare_all", counting)
    memory = FactCache(tmp_path)
    clips = [Clip(str(i), take) for i, take in enumerate(takes)]
    check_scenes(clips[:3], memory=memory)
    assert len(compared) == 3
    check_scenes(clips[:4], memory=memory)
    assert len(compared) == 6


def test_a_shortlist_keeps_every_version_in_any_order(takes):
    makers = (lambda frames: frames, compressed, cropped, flip)
    sets = [[describe(f) for f in make(take)[::4]] for take in takes for make in makers]
    pairs = set(Shortlist(sets).pairs())
    same = {(a, b) for a, b in itertools.combinations(range(len(sets)), 2) if a // 4 == b // 4}
    assert same <= pairs
    order = np.random.default_rng(0).permutation(len(sets))
    shuffled = Shortlist([sets[i] for i in order]).pairs()
    assert {tuple(sorted((order[a], order[b]))) for a, b in shuffled} == pairs


def test_many_videos_are_compared_by_a_shortlist(takes, tmp_path, monkeypatch):
    clips = [Clip(f"a{i}", take) for i, take in enumerate(takes)]
    clips += [Clip(f"b{i}", flip(take)) for i, take in enumerate(takes)]
    plain = check_scenes(clips)
    monkeypatch.setattr(alike, "COMPARE_ALL", 3)
    memory = FactCache(tmp_path)
    assert check_scenes(clips, memory=memory) == plain
    monkeypatch.setattr(alike, "Shortlist", None)
    assert check_scenes(clips, memory=memory) == plain


def test_an_empty_shortlist():
    assert list(Shortlist([]).pairs()) == []
    assert list(Shortlist([[], []]).pairs()) == []
    assert find_alike([], lambda a, b: True, None, None, Quiet()) == []


def test_listed_is_less_than_sure():
    from vidseg.datasets.near_duplicates import Likeness

    assert Likeness(LISTED, 16).listed
    assert not Likeness(LISTED, 16).same_place
    assert not Likeness(100, 5).same_place
    assert Likeness(25, 6).same_place
