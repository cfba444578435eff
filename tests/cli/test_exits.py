"""What the command line makes of an error that ends it."""

from __future__ import annotations

import click
import pytest

from vidseg.cli import main
from vidseg.errors import DataError


@click.command()
def reads_past_the_end() -> None:
    raise EOFError("End of file")


@click.command()
def interrupted() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [(reads_past_the_end, 70, "EOFError: End of file"), (interrupted, 130, "stopped")],
)
def test_the_end_of_data_is_no_wish_to_stop(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: click.Command,
    code: int,
    text: str,
) -> None:
    """Click makes one error, Abort, of both."""
    monkeypatch.setattr(main, "vidseg", command)
    with pytest.raises(SystemExit) as ended:
        main.main([])
    assert ended.value.code == code
    assert text in capsys.readouterr().err


@click.command()
def finds_an_odd_name() -> None:
    raise DataError("cannot be read", where="a\x1b[2Jb/\udcff.jpg", hint="mend\nit")


def test_control_characters_of_names_do_not_reach_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "vidseg", finds_an_odd_name)
    with pytest.raises(SystemExit):
        main.main([])
    assert capsys.readouterr().err == (
        "vidseg: error: a\\x1b[2Jb/\\udcff.jpg: cannot be read; mend it\n"
    )
