"""Facts that are kept between processes: a clip is decoded once to be known, then never again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.movies import plain_clip
from tests.helpers.trees import mask_values, picture, virat_tree
from vidseg import plugins
from vidseg.datasets.scenes import check_scenes
from vidseg.experiment.open import open_dataset
from vidseg.media.clip import ClipFrames
from vidseg.plugins.spec import parse
from vidseg.store import Store
from vidseg.store.fact_cache import FactCache
from vidseg.utils.progress import Quiet


def test_what_is_put_is_got(tmp_path):
    FactCache(tmp_path).put("a", [1, 2.5, None, "x"])
    assert FactCache(tmp_path).get("a") == [1, 2.5, None, "x"]
    assert FactCache(tmp_path).get("b") is None
    FactCache(tmp_path).put("a", 2**63 + 1)
    assert FactCache(tmp_path).get("a") == 2**63 + 1


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"key": "b", "value": 1}'])
def test_a_damaged_fact_is_none(tmp_path, content):
    cache = FactCache(tmp_path)
    cache.put("a", 1)
    (file,) = tmp_path.glob("facts/*/*")
    file.write_bytes(content)
    assert cache.get("a") is None
    cache.put("a", 2)
    assert cache.get("a") == 2
    assert [each.name for each in tmp_path.glob("facts/*/*")] == [file.name]


def test_a_store_that_cannot_be_written_forgets(tmp_path):
    (tmp_path / "facts").write_text("a file in the way")
    cache = FactCache(tmp_path)
    cache.put("a", 1)
    assert cache.get("a") is None
    cache.clear()


def test_pruning_everything_forgets(tmp_path):
    store = Store(tmp_path)
    store.fact_cache.put("a", 1)
    store.prune(older_than=0)
    assert store.fact_cache.get("a") == 1
    store.prune(max_bytes=0)
    assert store.fact_cache.get("a") is None
    assert list(tmp_path.iterdir()) == []


def clips(folder: Path) -> None:
    for seed, name in enumerate(("a", "b")):
        plain_clip(folder / f"{name}.mp4", [picture(i, seed=seed) for i in range(6)])
        plain_clip(folder / f"{name}_mask.mp4", [np.dstack([mask_values(i)] * 3) for i in range(6)])


def never(*args: object, **words: object) -> None:
    raise AssertionError("decoded again")


def test_the_second_opening_of_clips_decodes_nothing(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    clips(tmp_path / "data")
    store = Store(tmp_path / "store")
    first = open_dataset(parse(f"clip:{tmp_path}/data"), Quiet(), store.fact_cache)
    infos = [video.probe() for video in first.videos]
    monkeypatch.setattr(ClipFrames, "_decode", never)
    monkeypatch.setattr(ClipFrames, "frames", never)
    second = open_dataset(
        parse(f"clip:{tmp_path}/data"), Quiet(), Store(tmp_path / "store").fact_cache
    )
    assert [video.probe() for video in second.videos] == infos
    assert second.groups == first.groups
    with pytest.raises(AssertionError, match="decoded again"):
        open_dataset(parse(f"clip:{tmp_path}/data"), Quiet())


def test_another_content_is_another_fact(tmp_path):
    cache = FactCache(tmp_path / "store")
    virat_tree(tmp_path, ("7",), frames=6)
    for frames in (6, 7):
        plain_clip(tmp_path / "7.mp4", map(picture, range(frames)))
        (video,) = plugins.create("dataset", f"virat:{tmp_path}").videos()
        video.remember(cache)
        assert video.images.clip.probe().length == frames
        assert video.probe().length == 6


def test_scenes_are_the_same_with_and_without_memory(tmp_path):
    (tmp_path / "data").mkdir()
    clips(tmp_path / "data")
    (tmp_path / "data" / "c.mp4").write_bytes((tmp_path / "data" / "a.mp4").read_bytes())
    (tmp_path / "data" / "c.txt").write_text("1,1,1,1,8,8,1,1,1\n")
    cache = FactCache(tmp_path / "store")
    videos = plugins.create("dataset", f"clip:{tmp_path}/data").videos()
    plain = check_scenes(videos)
    assert plain.groups == {"a": "a", "b": "b", "c": "a"}
    assert check_scenes(videos, memory=cache) == plain
    assert check_scenes(videos, memory=cache) == plain
