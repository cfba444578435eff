"""From suites to cells, and which of them --only takes."""

from __future__ import annotations

from typing import Any

import pytest

from vidseg.errors import DataError, UsageError
from vidseg.suites.cells import expand, select
from vidseg.suites.suite import Suite, make_suite

GROUPS = {name: name.upper() for name in "abcdef"}


def suite(**changes: Any) -> Suite:
    return make_suite(
        {
            "name": "s",
            "question": "?",
            "device": "cpu",
            "dataset": "synthetic",
            "pipelines": {
                "p": {"extractor": "filters", "classifier": "sgd"},
                "q": {"extractor": "filters", "classifier": "sgd:C=1"},
            },
            "arms": {
                "1": {"sampler": 1},
                "20": {"sampler": 20, "pipelines": ["q"]},
                "frame": {"sampler": 1, "split": "frame:k=2", "videos": 3},
            },
            "seeds": [4, 2],
            **changes,
        }
    )


def test_every_setting_on_every_fold_with_every_seed() -> None:
    cells = expand(suite(), GROUPS)
    assert len({cell.id for cell in cells}) == len(cells) == 2 * (6 + 2 + 6 + 6 + 2)
    assert list(dict.fromkeys(cell.name for cell in cells)) == [
        *("1 p", "frame p", "1 q", "20 q", "frame q")
    ]
    first = cells[0]
    assert first.id == "1 p/fold 0/seed 4"
    assert (first.setting.seed, first.setting.videos, first.setting.budget.rule) == (
        4,
        None,
        "paper",
    )
    framed = [cell for cell in cells if cell.arm.name == "frame"]
    assert {cell.fold.part.index for cell in framed if cell.fold.part} == {0, 1}
    assert all(cell.setting.videos == 3 for cell in framed)
    for cell in cells:
        if cell.fold.part is None:
            assert not set(cell.fold.train) & set(cell.fold.test)
            assert set(cell.fold.train) | set(cell.fold.test) == set(GROUPS.values())


def test_all_seeds_have_the_folds_of_one_shuffle() -> None:
    cells = expand(suite(split="k-fold:k=3", seeds=[0, 1, 2, 3]), GROUPS)
    cells = [cell for cell in cells if cell.name == "1 p"]
    assert len({(cell.fold.index, cell.fold.test) for cell in cells}) == 3
    other = expand(suite(split="k-fold:k=3", seeds=[9]), GROUPS)
    assert {cell.fold.test for cell in other if cell.name == "1 p"} == {
        cell.fold.test for cell in cells
    }


def test_a_split_that_the_data_cannot_carry() -> None:
    with pytest.raises(DataError, match="needs 9 groups"):
        expand(suite(split="k-fold:k=9"), GROUPS)


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        (None, 44),
        ("", 44),
        ("1 p/*", 12),
        ("20", 12),
        ("fold 1/seed 4", 5),
        ("* q/fold 0/*", 6),
        ("1 [pq]/fold 0/seed 2", 2),
        ("frame p/fold 1/seed 2", 1),
        ((), 44),
        (("1 p/*", "frame p/fold 1/seed 2"), 13),
        (("20", "20"), 12),
    ],
)
def test_only(pattern: str | tuple[str, ...] | None, count: int) -> None:
    assert len(select(expand(suite(), GROUPS), pattern)) == count


def test_only_nothing() -> None:
    with pytest.raises(UsageError, match="--only: no cell matches '400'; settings are 1 p"):
        select(expand(suite(), GROUPS), "400")
    with pytest.raises(UsageError, match="--only: no cell matches '400'"):
        select(expand(suite(), GROUPS), ["20", "400"])
