"""`sequary compare DATA`: what was understood, the plan or the work, the leaderboard, and where the report is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from sequary.data.roles import Columns

if TYPE_CHECKING:
    from sequary.compare.board import Board


def command(
    data: str,
    *,
    horizon: int | None = None,
    budget: str = "5m",
    task: str | None = None,
    systems: Sequence[str] | None = None,
    family: str | None = None,
    metric: str | None = None,
    max_latency: str | None = None,
    max_params: int | None = None,
    seeds: int = 3,
    levels: Sequence[float] | None = None,
    out: str = "sequary-report",
    columns: Columns = Columns(),
    season: int | None = None,
    dry_run: bool = False,
    as_json: bool = False,
) -> int:
    """Exit status 0, or 1 where no candidate could be scored, or an answer moved with what it may not see.

    Longer than 40 lines because it lists its options. With `as_json`, standard output is `board.json` and nothing else;
    all talk goes to standard error.
    """
    from sequary.compare.dry import outline
    from sequary.compare.options import options
    from sequary.compare.prepare import prepare
    from sequary.compare.run import conduct

    given = options(
        horizon=horizon,
        budget=budget,
        systems=systems,
        family=family,
        metric=metric,
        max_latency=max_latency,
        max_params=max_params,
        seeds=seeds,
        levels=levels,
        out=out,
        season=season,
    )
    talk = Console(stderr=as_json, soft_wrap=True, highlight=False)
    ready = prepare(data, given, task=task, columns=columns)
    for line in ready.lines:
        talk.print(Text(line))
    for suspect in ready.suspects:
        talk.print(Text(f"warning: {suspect}", style="yellow"))
    if dry_run:
        plan = outline(ready)
        if as_json:
            sys.stdout.write(json.dumps({"understood": ready.lines, "suspects": ready.suspects, "plan": plan}) + "\n")
        else:
            talk.print(Text("\n".join(plan)))
        return 0
    with Bar() as bar:
        board = conduct(ready, bar)
    _print(board, talk, Path(out), as_json=as_json)
    scored = any(c.metrics for c in board.candidates)
    return 0 if scored and board.leak.max_shift == 0 else 1


def _print(board: Board, talk: Console, out: Path, *, as_json: bool) -> None:
    from sequary.compare import leaderboard, report, words

    if as_json:
        sys.stdout.write(report.json_text(board))
        return
    talk.print()
    leaderboard.show(board, Console(highlight=False))
    probed = f"{board.leak.probed} {words.of(board.task).many}"
    talk.print(Text(f"leak probe: {probed}, greatest shift {board.leak.max_shift}"))
    talk.print(Text(f"report: {out / 'report.html'}"))
    model = board.manifest["refit"]
    if model is not None and model["error"] is None:
        what = "" if model["folder"] == "winner" else "the best that can be saved, "
        talk.print(Text(f"model: {out / model['folder']} ({model['candidate']}, {what}refitted on all data)"))


class Bar:
    """Progress on standard error; on anything but a terminal, what is worth knowing as plain lines and no bar."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, console=self.console, disable=not self.console.is_terminal, transient=True)
        self.task = self.progress.add_task("", total=1.0)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def say(self, line: str) -> None:
        self.console.print(Text(line))

    def stage(self, what: str, part: float) -> None:
        self.progress.update(self.task, description=what, completed=part)
