"""Compiled loops where no folder for their cache can be written."""

from __future__ import annotations

import pytest

from vidseg.utils.compiled import compiled


def test_compiles_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    compile_ = numba.njit

    def refuse(*functions: object, **options: object) -> object:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return compile_(*functions, **options)

    monkeypatch.setattr(numba, "njit", refuse)
    assert compiled(lambda value: value + 1)(2) == 3
