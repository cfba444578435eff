"""Splits: every group is tested once, and never seen in training."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidseg.errors import DataError, UsageError
from vidseg.experiment.splits import Part, folds, resolve_split
from vidseg.plugins.spec import Spec

GROUPS = {"a1": "a", "a2": "a", "b1": "b", "c1": "c", "d1": "d", "e1": "e"}


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.sampled_from("uvwxyz"), min_size=2),
    st.integers(0, 2**31),
    st.sampled_from(["leave-one-group-out", "k-fold:k=2", "k-fold:3"]),
)
def test_groups_are_tested_once_and_never_on_both_sides(groups, seed, text):
    names = set(groups.values())
    spec = resolve_split(text)
    if len(names) < spec.params.get("k", 2):
        with pytest.raises(DataError):
            folds(spec, groups, seed)
        return
    plan = folds(spec, groups, seed)
    assert sorted(name for fold in plan for name in fold.test) == sorted(names)
    for index, fold in enumerate(plan):
        assert fold.index == index
        assert fold.train
        assert fold.test
        assert set(fold.train) | set(fold.test) == names
        assert not set(fold.train) & set(fold.test)
        assert list(fold.train) == sorted(fold.train)
    assert folds(spec, dict(reversed(groups.items())), seed) == plan
    sizes = {len(fold.test) for fold in plan}
    assert max(sizes) - min(sizes) <= 1


def test_k_fold_shuffles_by_the_seed_alone():
    spec = resolve_split("k-fold:k=2")
    plans = {folds(spec, GROUPS, seed)[0].test for seed in range(10)}
    assert len(plans) > 1


def test_fixed_takes_whole_scenes():
    (fold,) = folds(resolve_split("fixed:test=a1,test=b"), GROUPS, 0)
    assert fold.test == ("a", "b")
    assert fold.train == ("c", "d", "e")
    (fold,) = folds(resolve_split("fixed:test=a2,train=c1,train=d"), GROUPS, 0)
    assert (fold.test, fold.train) == (("a",), ("c", "d"))
    assert resolve_split("fixed:a1") == Spec("fixed", None, {"test": ["a1"]})
    assert resolve_split({"use": "fixed", "test": ["a1"]}) == resolve_split("fixed:test=a1")


def test_names_of_digits_need_no_quotes():
    groups = {"01": "01", "02": "02", "10": "10"}
    (fold,) = folds(resolve_split("fixed:test=01"), groups, 0)
    assert fold.test == ("01",)
    (fold,) = folds(resolve_split("fixed:test='02'"), groups, 0)
    assert fold.test == ("02",)
    with pytest.raises(DataError, match="no video or group '1'"):
        folds(resolve_split("fixed:test=1"), {"01": "x", "001": "y", "b": "z"}, 0)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("leave-one-out", "did you mean 'leave-one-group-out'?"),
        ("leave-one-group-out:3", "takes no parameter"),
        ("leave-one-group-out:k=3", "no parameter 'k'; it takes none"),
        ("k-fold:folds=3", "no parameter 'folds'; it takes k"),
        ("k-fold:3,k=4", "'k' is given twice"),
        ("k-fold:k=1", "k=1 is no number of folds"),
        ("k-fold:k=2.0", "k=2.0 is no number of folds"),
        ("k-fold:k=true", "k=True is no number of folds"),
        ("k-fold:k=2,k=3", "no number of folds"),
        ("fixed", "names no test video"),
        ("fixed:train=a", "names no test video"),
        ("fixed:tst=a", "did you mean 'test'?"),
    ],
)
def test_splits_that_cannot_be_meant(text, part):
    with pytest.raises(UsageError, match="split") as caught:
        resolve_split(text)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "groups", "part"),
    [
        ("leave-one-group-out", {"a": "s", "b": "s"}, "needs two groups, the data set has 1 (s)"),
        ("k-fold:k=6", GROUPS, "needs 6 groups, the data set has 5"),
        ("fixed:test=a1,train=a2", GROUPS, "scene of a1, a2 is on both sides"),
        ("fixed:test=a3", GROUPS, "no video or group 'a3'; did you mean 'a2'?"),
        ("fixed:test=a", {"a": "s", "b": "s"}, "no group is left to train on"),
    ],
)
def test_splits_that_the_data_cannot_carry(text, groups, part):
    with pytest.raises(DataError) as caught:
        folds(resolve_split(text), groups, 0)
    text = str(caught.value).replace("'a1'", "'a2'")
    assert part in text


@given(st.sampled_from(["frame", "block"]), st.integers(2, 7), st.integers(1, 60))
def test_parts_hold_every_frame_out_once(kind, k, length):
    parts = [Part(kind, k, index) for index in range(k)]
    held = [[part.holds(frame, length) for part in parts] for frame in range(length)]
    assert all(sum(row) == 1 for row in held)
    if kind == "block":
        owners = [row.index(True) for row in held]
        assert owners == sorted(owners)
    plan = folds(resolve_split(f"{kind}:{k}"), GROUPS, 0)
    assert [fold.part for fold in plan] == parts
    assert all(fold.train == fold.test == tuple("abcde") for fold in plan)
