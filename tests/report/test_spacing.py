"""Frames in a row, and arms that reach further with no more labels."""

from __future__ import annotations

from vidseg.report.spacing import in_a_row, outreached


def test_frames_in_a_row() -> None:
    assert in_a_row({"a": range(20), "b": [7]})
    assert in_a_row({"a": [4, 3, 3, 5], "b": []})
    assert not in_a_row({"a": range(20), "b": range(0, 20, 2)})
    assert not in_a_row({"a": [0], "b": [5]}), "one frame is no row"
    assert not in_a_row({"a": []})


def test_rows_that_as_few_labels_further_apart_could_replace() -> None:
    frames = {
        "1": [0],
        "first": range(10),
        "middle": range(45, 55),
        "20": range(20),
        "window": range(40, 58, 2),
        "uniform": range(0, 100, 10),
        "all": range(100),
    }
    videos = {arm: {"a": own, "b": own} for arm, own in frames.items()}
    costs = {arm: float(2 * len(own)) for arm, own in frames.items()}
    both = ["window", "uniform"]
    assert outreached(videos, costs) == {"first": both, "middle": both, "20": ["uniform"]}
    # more labels than the row has, or other videos
    assert outreached(videos, {**costs, "uniform": 41.0, "window": 21.0}) == {}
    fewer = {**videos, "uniform": {"a": frames["uniform"]}, "window": {"a": frames["window"]}}
    assert outreached(fewer, costs) == {}
