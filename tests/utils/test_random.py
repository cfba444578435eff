"""Seeds: the numbers that they give are those of every result that was published with them."""

from __future__ import annotations

from vidseg.utils.random import copy_generator, generator, seed_of


def test_each_recipe_keeps_its_bytes() -> None:
    assert seed_of(3, "street", "park") == 6453219003468229776
    assert generator(7, "frames", 2).integers(1 << 40) == 711625812350
    assert copy_generator(5, "clip é", 11, 2, 1).integers(1 << 40) == 184114183749


def test_a_seed_depends_on_where_one_part_ends() -> None:
    assert seed_of("a", "bc") != seed_of("ab", "c")
    assert seed_of() == 1449310910991872227
