"""`sequary`: finds the command, calls it, and turns what goes wrong into one line and an exit status.

    0  done
    1  a check failed
    2  bad usage or input: the line on standard error names the mend
    3  an output could not be written; what was there before still is
    4  the run failed: a loss that is not finite, no memory
    5  a defect of sequary: run again with --debug and report the trace
    130  interrupted

Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from sequary.cli.forms import declared
from sequary.core.catalogue import UnknownSystem
from sequary.core.files import OutputError

COMMANDS = {
    "compare": "Which system serves these data, at what cost.",
    "fit": "Train one system.",
    "predict": "Forecasts from a saved model.",
    "systems": "What is built; with --all everything that the catalogue lists.",
    "show": "One system: idea, equation, parts, how to use it.",
    "check": "Run the laws of a system or of a part of your own; its claim; recorded cases.",
}
EPILOG = (
    "Every command takes --json, and --debug to show the trace of an error. "
    "Exit status: 0 done, 1 a check failed, 2 bad usage or input, 3 an output could not be written, "
    "4 the run failed, 5 a defect of sequary, 130 interrupted."
)
Refused: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


class Commands(TyperGroup):
    """Each command is a module of this folder, imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in COMMANDS if importlib.util.find_spec(f"sequary.cli.{name}")]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """From the table above: help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"sequary.cli.{cmd_name}")
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name, help=COMMANDS[cmd_name], epilog=EPILOG)(declared(module.command))
        return typer.main.get_command(single)


app = typer.Typer(cls=Commands, add_completion=False, rich_markup_mode=None, epilog=EPILOG)


@app.callback()
def _root() -> None:
    """Sequence models as short recipes of shared parts, and which of them serves your data."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (`sys.argv` if not given); returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"] or ["--help"]
    try:
        found = typer.main.get_command(app).main(args=words, prog_name="sequary", standalone_mode=False)
        sys.stdout.flush()
        return found if isinstance(found, int) else 0
    except KeyboardInterrupt:
        return _tell("interrupted", 130)
    except BrokenPipeError:  # the reader has seen enough (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 (the one place where errors become lines)
        if debug:
            traceback.print_exc()
        return _tell(*explained(error, words))


def explained(error: Exception, words: Sequence[str]) -> tuple[str, int]:
    """The line and the exit status."""
    if isinstance(error, Refused):
        refused: Any = error
        command = f"{words[0]} " if words[0] in COMMANDS else ""
        return f"{refused.format_message().rstrip('.')}; see `sequary {command}--help`", refused.exit_code
    if isinstance(error, typer.Abort):
        return "interrupted", 130
    if isinstance(error, OutputError):
        return str(error), 3
    if isinstance(error, ValueError | UnknownSystem):
        return str(error), 2
    full = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "alloc" in str(error))
    if full or type(error).__name__ == "Diverged":  # by name: its module would bring torch
        return f"the run failed: {str(error) or 'no memory is left'}", 4
    return f"a defect of sequary ({type(error).__name__}: {error}); run again with --debug and report the trace", 5


def _tell(line: str, status: int) -> int:
    print(f"sequary: {' '.join(line.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
