"""``vidseg``: finds the command, and turns every error into one line and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from vidseg import __version__
from vidseg.errors import Stopped, VidsegError
from vidseg.utils.stop import AGAIN, listening
from vidseg.utils.threads import configure_threads

COMMANDS = {
    "run": ("vidseg.cli.run:run", "Train and test one pipeline on one frame setting."),
    "predict": ("vidseg.cli.predict:predict", "Find masks in new pictures with a logged model."),
    "export": ("vidseg.cli.export:export", "Write a logged network as an ONNX file."),
    "suite": ("vidseg.cli.suite:suite", "Run a whole protocol and report what it means."),
    "report": ("vidseg.cli.report:report", "Rebuild the report of suites from MLflow."),
    "select": ("vidseg.cli.select:select", "Choose frames worth labelling from unlabelled videos."),
    "propagate": (
        "vidseg.cli.propagate:propagate",
        "Carry key boxes to the frames between by a tracker.",
    ),
    "annotate": ("vidseg.cli.annotate:annotate", "Annotate a video with a tracker's help."),
    "audit": ("vidseg.cli.audit:audit", "Find what of a test split was seen in training."),
    "datasets": ("vidseg.cli.datasets:datasets", "Show a data set, or check it for faults."),
    "convert": ("vidseg.cli.convert:convert", "Write a data set in another format."),
    "plugins": ("vidseg.cli.plugins:plugins", "List, check and describe plugins."),
    "store": ("vidseg.cli.store:store", "Show or prune the store of frames and features."),
    "runs": ("vidseg.cli.runs:runs", "Close runs that a killed process left open."),
}
"""Commands: where each lives, and its short help, so that ``--help`` imports none of them."""

DEBUG = "--debug"


class Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of a user's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command when there is none of that name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from vidseg.utils.suggest import did_you_mean

            hint = did_you_mean(args[0], COMMANDS).capitalize()
            ctx.fail(f"There is no command {args[0]!r}. {hint}".rstrip())
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the static table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vidseg")
def vidseg() -> None:
    """Every frame, or key frames? Train the same pipeline on both, and compare.

    Every command takes --debug, which shows the traceback of an error.
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; the entry point of ``vidseg`` and ``python -m vidseg``."""
    configure_threads()
    given = list(sys.argv[1:] if args is None else args)
    debug = DEBUG in given
    try:
        words = [arg for arg in given if arg != DEBUG]
        with listening():
            # without standalone mode click returns the code of an Exit that a command raises
            code = vidseg.main(words, "vidseg", standalone_mode=False)
    except BaseException as error:
        if debug and not isinstance(error, click.exceptions.Exit | SystemExit):
            import traceback

            traceback.print_exc()
        sys.exit(_explain(error))
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: BaseException) -> int:
    """Say one line about an error; return the exit code."""
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case SystemExit():
            return int(error.code or 0) if isinstance(error.code, int | None) else 1
        case click.UsageError() if type(error).__name__ == "NoArgsIsHelpError":  # from click 8.2
            error.show()
            return error.exit_code
        case click.UsageError():
            context = f"{error.ctx.command_path}: " if error.ctx else ""
            help_ = f"; `{error.ctx.command_path} --help` lists them" if error.ctx else ""
            return _say(context + error.format_message().rstrip(".") + help_, error.exit_code)
        case click.ClickException():
            return _say(error.format_message(), error.exit_code)
        case VidsegError() | Stopped():
            return _say(str(error), error.exit_code)
        case click.Abort(__cause__=EOFError() as cause):  # click takes one from anywhere for Ctrl-D
            return _say(_bug(cause), 70)
        case click.Abort() | KeyboardInterrupt():
            return _say(f"stopped; {AGAIN}", 130)
        case BrokenPipeError():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        case MemoryError():
            return _say("out of memory; choose a smaller image size or memory budget", 1)
        case OSError(errno=errno.ENOSPC):
            return _say(f"the disk is full: {error.filename or error}; free space, then go on", 1)
    return _say(_bug(error), 70)


def _bug(error: BaseException) -> str:
    from vidseg.plugins.describe import blamed

    if (foreign := blamed(error)) is not None:
        return str(foreign)
    text = " ".join(str(error).split())[:300]
    return (
        f"this should not happen: {type(error).__name__}: {text}; "
        f"run again with {DEBUG} and report the traceback"
    )


def _say(text: Any, code: int) -> int:
    from vidseg.experiment.distributed import first_process

    if not first_process():
        return code
    click.echo(f"vidseg: error: {text}" if code not in (130, 143) else f"vidseg: {text}", err=True)
    return code
