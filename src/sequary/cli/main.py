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

import difflib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sequary import __version__
from sequary.cli.forms import declared
from sequary.core.catalogue import UnknownSystem
from sequary.core.files import OutputError

COMMANDS = {
    "compare": "Which system serves these data, at what cost.",
    "fit": "Train one system.",
    "predict": "Forecasts from a saved model.",
    "generate": "Images or text from a saved model.",
    "impute": "Fill the missing cells of a table by a saved model.",
    "detect": "Anomalies in a table by a saved model: a score for each row, events as intervals.",
    "classify": "The class of each series, by a saved model.",
    "edit": "A saved language model made smaller; exit status 1 where that brings nothing.",
    "probe": "What goes on inside a saved language model: pictures and numbers.",
    "study": "A study run anew, as a page.",
    "bench": "What the layers of all mixers cost, length by length: bench mixers.",
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


def _version(asked: bool) -> None:
    if asked:
        print(f"sequary {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it and exit.")
    ] = False,
) -> None:
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
    except BaseException as error:  # the one place where errors become lines
        # A defect inside polars is no Exception; by name, since its module would bring polars.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if debug:
            traceback.print_exc()
        return _tell(*explained(error, words))


def explained(error: BaseException, words: Sequence[str]) -> tuple[str, int]:
    """The line and the exit status."""
    if isinstance(error, Refused):
        return _refused(error, words)
    if isinstance(error, typer.Abort):
        return "interrupted", 130
    if isinstance(error, OutputError):
        return str(error), 3
    own = _in_own_file(error, words)
    if own is not None:
        return own, 2
    if isinstance(error, ValueError | UnknownSystem):
        return str(error), 2
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}; check the path", 2
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
        return str(error), 2
    full = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "alloc" in str(error))
    if full or type(error).__name__ == "Diverged":  # by name: its module would bring torch
        return f"the run failed: {str(error) or 'no memory is left'}", 4
    return f"a defect of sequary ({type(error).__name__}: {error}); run again with --debug and report the trace", 5


def _refused(error: Any, words: Sequence[str]) -> tuple[str, int]:
    """What typer refused, and where the help is; the nearest commands where there is none of that name."""
    line = error.format_message().rstrip(".")
    if words[0] in COMMANDS:
        return f"{line}; see `sequary {words[0]} --help`", error.exit_code
    near = " or ".join(difflib.get_close_matches(words[0], COMMANDS, n=2))
    return f"{line}; {f'did you mean {near}? See' if near else 'see'} `sequary --help`", error.exit_code


def _in_own_file(error: BaseException, words: Sequence[str]) -> str | None:
    """Where in a .py file that the user named it was raised; None elsewhere."""
    named = {Path(part).resolve(): part for word in words for part in word.split(",") if part.endswith(".py")}
    if isinstance(error, SyntaxError) and Path(str(error.filename)).resolve() in named:
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() in named]
    if not frames:
        return None
    last = frames[-1]
    return f"{named[Path(last.filename).resolve()]}, line {last.lineno}: {type(error).__name__}: {error}"


def _tell(line: str, status: int) -> int:
    print(f"sequary: {' '.join(line.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
