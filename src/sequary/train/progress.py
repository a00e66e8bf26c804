"""What a person sees while a model learns."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Tell = Callable[[int, float], None]
"""tell(steps done, training loss)."""


@contextlib.contextmanager
def bar(label: str, steps: int, *, show: bool | None = None) -> Iterator[Tell]:
    """A bar on stderr that vanishes at the end. `show` None: only on a terminal."""
    if not (sys.stderr.isatty() if show is None else show):
        yield lambda step, loss: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4g}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True, force_terminal=True), transient=True) as progress:
        task = progress.add_task(label, total=steps, loss=float("nan"))
        yield lambda step, loss: progress.update(task, completed=step, loss=loss)
