"""Commands that read a tracking store: ``vidseg report`` and ``vidseg runs``."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidseg.cli.main import main


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words)])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


@pytest.mark.parametrize("words", [("report",), ("runs", "reap")])
def test_a_store_that_is_not_there_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (tmp_path / "empty.db").touch()
    for name in ("typo.db", "absent/typo.db", "empty.db"):
        uri = f"sqlite:///{tmp_path / name}"
        code, out, err = call(capsys, *words, "--tracking-uri", uri)
        assert (code, out) == (1, "")
        assert err.startswith(f"vidseg: error: {uri}: there is no such tracking store; name it")
        assert err.count("\n") == 1
    assert [each.name for each in tmp_path.iterdir()] == ["empty.db"]
