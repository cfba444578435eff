"""SAM 2 with tiny random weights: tracker, source of masks, and where it cannot be had."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

HEIGHT, WIDTH = 48, 80
BOXES = [[6.0, 11.0, 25.0, 20.0], [31.0, 11.0, 20.0, 30.0], [1.0, 41.0, 10.0, 8.0]]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("tiny_sam", Path(__file__).parent / "tiny.py")
    assert spec is not None
    assert spec.loader is not None
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    folder: Path = tiny.save_sam2(tmp_path_factory.mktemp("sam2"))
    return folder


class Film:
    """A video of random frames with two boxes and an ignored one, and what was read of it."""

    name = group = "film"
    image_key, label_key = "pixels", "boxes"

    def __init__(self, length: int = 9, boxes: Any = BOXES) -> None:
        self.length, self.read = length, list[int]()
        self._boxes = np.array(boxes, float).reshape(-1, 4)

    def probe(self) -> Any:
        from vidseg.types import Size, VideoInfo

        return VideoInfo(self.length, Size(HEIGHT, WIDTH), 25.0)

    def frames(self, indices: Any) -> Iterator[Any]:
        for index in indices:
            self.read.append(index)
            yield image(index)

    def labels(self, index: int, source: str = "truth") -> Any:
        ignored = np.arange(len(self._boxes)) == 2
        return SimpleNamespace(boxes=self._boxes, origin=1.0, ignored=ignored, mask=None)


def image(index: int) -> Any:
    return np.random.default_rng(index).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def made(film: Film, weights: Path, more: str = "") -> Any:
    from vidseg import plugins

    return plugins.create("label", f"sam:weights={weights}{more}").of(film)


def test_as_a_tracker_it_gives_boxes_inside_of_the_frame(weights: Path) -> None:
    from vidseg.trackers.base import TrackerSource

    source = TrackerSource.of(f"sam2:weights={weights}")
    runs = []
    for _ in range(2):
        tracker = source()
        tracker.start(image(0), (5.0, 10.0, 25.0, 20.0))
        runs.append([tracker.update(image(i)) for i in range(1, 4)])
    assert runs[0] == runs[1]
    for (left, top, width, height), sure in runs[0]:
        assert 0 <= left < left + width <= WIDTH
        assert 0 <= top < top + height <= HEIGHT
        assert 0 <= sure <= 1
    assert source.key == TrackerSource.of(f"sam2:weights={weights}").key


def test_frames_and_old_outputs_are_let_go(weights: Path) -> None:
    from vidseg_sam.session import Session, load

    segmenter = load(weights, "cpu")
    short, long = Session(segmenter), Session(segmenter)
    long._reach = 10_000
    box = {4: (5.0, 10.0, 25.0, 20.0)}
    reach = short._reach
    for index in range(reach + 6):
        given = box if index == 0 else None
        (mask, sure), (whole, too) = (s.step(image(index), given)[4] for s in (short, long))
        assert (mask == whole).all()
        assert sure == too
    assert short.held() == (0, reach + 1)
    assert long.held() == (0, reach + 5)


def test_boxes_of_each_frame_become_masks(weights: Path) -> None:
    labels, film = made(Film(), weights), Film()
    mask = labels.labels(4).mask
    assert mask.shape == (HEIGHT, WIDTH)
    assert mask.dtype == np.int8
    assert set(np.unique(mask)) <= {-1, 0, 1}
    assert (mask[40:48, 0:10] != -1).all()  # the ignored box
    assert list(labels.labelled()) == list(range(9))
    assert (made(film, weights).labels(4).mask == mask).all()
    assert film.read == [4]


def test_masks_are_carried_from_key_frames_and_made_once(weights: Path) -> None:
    film, advanced = Film(), list[float]()
    labels = made(film, weights, ",every=4")
    bar = SimpleNamespace(advance=advanced.append)
    labels.prepare([1, 2, 5], bar, lambda: None)
    assert film.read == [0, 1, 2, 4, 5]
    assert sum(advanced) == 3
    masks = [labels.labels(i).mask for i in (1, 2, 5)]
    there = pickle.loads(pickle.dumps(labels))  # noqa: S301
    assert all((there.labels(i).mask == m).all() for i, m in zip((1, 2, 5), masks, strict=True))
    assert film.read == [0, 1, 2, 4, 5]
    assert made(Film(), weights).key != labels.key == made(Film(), weights, ",every=4").key


def test_without_objects_all_is_background(weights: Path) -> None:
    labels = made(Film(boxes=[]), weights)
    assert (labels.labels(0).mask == -1).all()


def test_its_masks_are_training_masks(weights: Path, tmp_path: Path) -> None:
    from vidseg.experiment.training_labels import TrainingLabels
    from vidseg.store import Store
    from vidseg.tasks.registry import find_task
    from vidseg.types import Size

    film = Film()
    source, store = made(film, weights), Store(tmp_path)
    labels = TrainingLabels(film, source, "box", lambda: Size(24, 40), store, find_task())
    mask = labels.mask(3)
    assert mask.shape == (24, 40)
    assert set(np.unique(mask)) <= {-1, 0, 1}


def test_what_cannot_be_had_is_one_line(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidseg_sam.session import load

    from vidseg import plugins
    from vidseg.errors import VidsegError

    def refused(spec: str) -> str:
        with pytest.raises(VidsegError) as caught:
            plugins.create("tracker", spec)
        return str(caught.value)

    assert "no such folder" in refused("sam2:weights=/nowhere/at/all")
    assert "no config.json" in refused(f"sam2:weights={tmp_path}")
    # a port that nobody listens on
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    said = refused("sam2:weights=owner/no-such-model")
    assert "cannot be had from the model hub" in said
    assert "weights=PATH" in said
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="kind 'bert'"):
        load(tmp_path, "cpu")
