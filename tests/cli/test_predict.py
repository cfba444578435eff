"""What ``vidseg predict`` says of pictures that it left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidseg.api import data
from vidseg.cli import main
from vidseg.serving.predict import Prediction


@pytest.mark.parametrize(
    ("failed", "count", "said"),
    [
        (["a"], 1, "1 of 1 pictures could not be read: a.tif: holds 5 pictures; mend these"),
        (
            ["a", "b"],
            6,
            "2 of 6 pictures could not be read: a.tif: holds 5 pictures (and 1 more); ",
        ),
    ],
)
def test_the_reason_is_said_even_where_progress_is_not(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failed: list[str],
    count: int,
    said: str,
) -> None:
    reasons = {name: f"{name}.tif: holds 5 pictures" for name in failed}
    done = Prediction(Path("m"), Path("o"), None, count, count - len(failed), reasons)
    monkeypatch.setattr(data, "predict", lambda *args, **options: done)
    with pytest.raises(SystemExit) as ended:
        main.main(["predict", "model", "a.tif", "--output", "out", "-q"])
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert said in error
    assert ("the others are done" in error) == (len(failed) < count)
