"""Before anything is trained: the data understood, the folds laid, the candidates named, nonsense refused."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sequary.compare.ask import Ask
from sequary.compare.board import Fold
from sequary.compare.options import BadArgument, Options
from sequary.compare.task import Task
from sequary.data import images, recordings, texts
from sequary.data.roles import Columns


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    task: Task
    name: str
    """Of the task, as the board has it."""
    options: Options
    metric: str
    ask: Ask
    entrants: list[Any]
    units: list[str]
    folds: list[Fold]
    data: dict[str, Any]
    lines: tuple[str, ...]
    """What was understood, one fact a line."""
    suspects: list[str]
    drawn: tuple[str, ...]
    arguments: dict[str, Any]
    """All that the result depends on: what a stopped comparison must share with the one that continues it."""
    moments: bool = False
    """Whether the board's folds are the same moments for all units, so that one event can hit all of them."""


MEANT = (("language", texts.is_text), ("classify", recordings.is_recordings), ("generate", images.is_images))
"""What data are compared by where no task is named; a table by forecasts."""


def names() -> list[str]:
    """Of the tasks that can be compared: each is a module of `tasks/` with its own `prepare(data, given, columns)` and `WORDS`."""
    return sorted(path.stem for path in (Path(__file__).parent / "tasks").glob("[!_]*.py"))


def module(task: str) -> Any:
    """Of a task, by its name; for another name nothing is imported.

    Raises:
        BadArgument: there is none of that name; those that there are.
    """
    if task not in names():
        raise BadArgument(f"task={task!r} cannot be compared; there are {', '.join(names())}")
    return importlib.import_module(f"sequary.compare.tasks.{task}")


def prepare(data: Any, given: Options, *, task: str | None, columns: Columns) -> Prepared:
    """For a path or a dataframe; `task` None: the one that MEANT has for the data.

    Raises:
        DataError, BadArgument, UnknownSystem: one line with the mend.
    """
    if task is None:
        named = isinstance(data, str | Path)
        task = next((name for name, means in MEANT if named and means(data)), "forecast")
    return module(task).prepare(data, given, columns)


def arguments(given: Options, metric: str, entrants: Sequence[Any], data: str) -> dict[str, Any]:
    from importlib.metadata import version

    table = dataclasses.asdict(given) | {"budget": given.budget_s, "metric": metric, "out": None, "data": data}
    files = [Path(e.id) for e in entrants if e.id.endswith(".py")]
    sources = {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    versions = {name: version(name) for name in ("sequary", "torch")}
    return table | {"candidates": [e.id for e in entrants], "files": sources, "versions": versions}
