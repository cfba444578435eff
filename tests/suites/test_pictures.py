"""Pictures of test frames, drawn from the models in the ledger."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers.suites import COUNTS, InTurn, Place, install
from vidseg.suites.pictures import WIDTH, choose, make_pictures
from vidseg.tasks.registry import find_task
from vidseg.tasks.segmentation.counts import VideoCounts
from vidseg.utils.progress import Quiet

NAMES = ["four q", "one q"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def drawn(place: Place, executor: Any = None) -> list[Any]:
    """Return the pictures of a suite, run or read from its ledger."""
    bench = place.bench()
    results, _ = place.run(bench, executor)
    pictures, notes = make_pictures(bench, results, NAMES, Quiet())
    assert notes == []
    return pictures


def test_pictures_are_the_same_wherever_cells_ran_and_when_they_are_read_again(
    tmp_path: Path,
) -> None:
    here = Place(tmp_path / "here")
    found = drawn(here)
    assert [(one.setting, one.rank) for one in found] == [
        (name, rank) for name in NAMES for rank in ("worst", "median", "best")
    ]
    scores = [one.score for one in found[:3]]
    assert scores == sorted(scores)
    COUNTS.clear()
    assert drawn(here) == found
    assert COUNTS["fits"] == 0
    assert drawn(Place(tmp_path / "elsewhere"), InTurn()) == found


def test_a_picture_is_a_small_jpeg_in_the_shape_of_the_video(tmp_path: Path) -> None:
    first = drawn(Place(tmp_path))[0]
    raw = base64.b64decode(first.jpeg)
    with Image.open(io.BytesIO(raw)) as image:
        assert image.format == "JPEG"
        assert image.size == (first.width, first.height) == (WIDTH, WIDTH * 48 // 64)
    assert len(raw) < 30_000


def test_scores_without_their_models_have_no_picture_and_are_not_fitted_again(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    place.run()
    for model in (tmp_path / "ledger").rglob("*.safetensors"):
        model.unlink()
    bench = place.bench()
    results, _ = place.run(bench)
    COUNTS.clear()
    pictures, notes = make_pictures(bench, results, NAMES, Quiet())
    assert (pictures, COUNTS["fits"]) == ([], 0)
    assert notes[0] == (
        "there are no pictures of four q: a model was fitted on another machine, and is not in "
        "the ledger"
    )


def counted(video: str, *found: tuple[int, int, int]) -> VideoCounts:
    """Return counts of a video: of each frame how many pixels are right, false and missed."""
    counts = find_task().counts(video, video)
    for frame, (right, false, missed) in enumerate(found):
        scores = np.full((1, 100), -1.0, np.float32)
        target = np.full((1, 100), -1, np.int8)
        scores[0, : right + false] = 1.0
        target[0, :right] = 1
        target[0, right + false : right + false + missed] = 1
        counts.add(frame, scores, find_task().reference(target, 0.0), 0.0)
    return counts


def test_the_worst_of_equal_frames_is_the_one_that_missed_most() -> None:
    videos = [counted("a", (0, 0, 3), (9, 1, 0)), counted("b", (0, 0, 40), (5, 5, 0), (0, 0, 0))]
    found = choose(videos, "iou", find_task())
    assert [(one.rank, one.video, one.frame) for one in found] == [
        ("worst", "b", 0),
        ("median", "b", 1),
        ("best", "a", 1),
    ]
    assert found[2].score == pytest.approx(0.9)
    assert choose(videos, "no score of frames", find_task()) == found


def test_nothing_is_chosen_where_no_frame_has_a_score() -> None:
    assert choose([counted("a", (0, 0, 0))], "iou", find_task()) == []
