"""Vectors of frames: computed once, read back bit by bit, kept where features are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.trees import picture
from vidseg import plugins
from vidseg.curate.footage import find_footage
from vidseg.extractors.frozen import FrozenExtractor
from vidseg.samplers.k_center import pooled
from vidseg.store import Store, StoredDescriptors


def test_a_vector_of_each_frame_is_computed_once(tmp_path: Path):
    (tmp_path / "a").mkdir()
    for i in range(3):
        Image.fromarray(picture(i)).save(tmp_path / "a" / f"{i}.png")
    extractor = FrozenExtractor(plugins.create("extractor", "filters:octaves=2"), threads=1)

    def stored(name: str = "pooled", limit: int = 10**9) -> StoredDescriptors:
        (video,), _ = find_footage([tmp_path / "a"])
        store = Store(tmp_path / f"store{limit}", limit=limit)
        frames = store.frames(video, None)
        features = store.features(video, extractor, frames, keep=False)
        return store.descriptors(features, pooled, name)

    first = stored().read_all(range(3))
    assert first.shape == (3, sum(extractor.channels))
    assert extractor.forwards == 3
    np.testing.assert_array_equal(stored().read_all(range(3)), first)
    assert extractor.forwards == 3
    expected = pooled(stored().features.read(2))
    np.testing.assert_array_equal(stored().read(2), expected)
    assert Store(tmp_path / "store1000000000").info().features.entries == 3, "vectors only"
    stored("another").read(0)
    assert extractor.forwards == 5
    np.testing.assert_array_equal(stored(limit=1).read_all(range(3)), first)
