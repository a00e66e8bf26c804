"""`compare`: which system serves these data, at what cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from sequary.compare import report
from sequary.compare.board import Board
from sequary.compare.conclude import board_of, winner
from sequary.compare.conduct import MODELS, Conduct
from sequary.compare.options import options, roles
from sequary.compare.prepare import Prepared, prepare
from sequary.compare.store import Store
from sequary.compare.tell import QUIET, Tell
from sequary.data.roles import Columns

__all__ = ["Prepared", "compare", "conduct", "prepare"]


def compare(
    data: Any,
    *,
    horizon: int | None = None,
    budget: str | float = "5m",
    task: str | None = None,
    systems: Sequence[str] | None = None,
    family: str | None = None,
    metric: str | None = None,
    max_latency: str | float | None = None,
    max_params: int | None = None,
    seeds: int = 3,
    levels: Sequence[float] | None = None,
    out: str | Path = "sequary-report",
    columns: Columns | Mapping[str, str | Sequence[str]] = Columns(),
    season: int | None = None,
    tell: Tell = QUIET,
) -> Board:
    """Compare systems on a table (a path, or a dataframe) or a text file; write the report into `out`.

    Longer than 40 lines because it lists every option.

    Args:
        horizon: steps ahead; needed for tables.
        budget: wall time of all training together: "45s", "5m", or seconds. Or "200steps": so many of each final run,
            and the largest rivals, whatever that takes; no clock decides, so that a busy machine plans the same.
        task: "forecast", "language" …, a module of `compare/tasks`; None: told from the data.
        systems: slugs, aliases or paths of .py files; or `family`, a theme or kind; None: the usual ones.
        metric: what ranks: mase, mae, mse or crps.
        max_latency: of one answer: milliseconds, or "10ms".
        max_params: parameters.
        seeds: final runs of each system.
        levels: shares of the intervals, of forecasts and fillings; None: 80 and 95 %.
        columns: which column is what, where the names do not say it: {"time": "day", "future": ["price"]}; roles are
            time, id, target, static, past, future, label.
        season: steps until the data repeat themselves: scales MASE, and floors and rivals use it; None: the natural one
            of the data's step (a day of hours, a year of months; integer time has none).

    Raises:
        DataError, BadArgument, UnknownSystem, OutputError: one line with the mend.
    """
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
    return conduct(prepare(data, given, task=task, columns=roles(columns)), tell)


def conduct(ready: Prepared, tell: Tell = QUIET) -> Board:
    """Measure, plan, train, probe, judge, refit, write. What a stopped comparison has done is not done again."""
    store = Store(ready.options.out, ready.arguments)
    with store.held():
        return _conducted(ready, store, tell)


def _conducted(ready: Prepared, store: Store, tell: Tell) -> Board:
    note = store.open()
    if note:
        tell.say(note)
    work = Conduct(ready, store, tell)
    began = perf_counter()
    work.measure()
    work.train()
    trained = perf_counter() - began
    work.probe()
    best, won = winner(ready, work.courses, work.results)
    name = MODELS[0] if won else MODELS[1]
    again = perf_counter()
    if best is None:
        store.clear(MODELS)
    else:
        work.refit(best, name)
    facts = _manifest(work, trained + perf_counter() - again, best, name)
    board = board_of(ready, work.courses, work.results, facts)
    report.write(board, ready.options.out)
    store.close(facts)
    return board


def _manifest(work: Conduct, wall: float, best: Any, name: str) -> dict[str, Any]:
    """What is replayed by a re-run, and what the budget became."""
    ready = work.ready
    refit = {} if best is None else work.results[best.id].get("refit", {})
    return {
        "arguments": ready.arguments,
        "plan": {k: v for k, v in work.frozen.items() if k != "replayed"},
        "replayed": work.frozen.get("replayed", False),
        "budget_s": ready.options.budget_s,
        "training_wall_s": wall + work.before,
        "share_s": work.frozen["share_s"],
        "workers": ready.options.workers,
        "threads": 1,
        "refit": None if best is None else {"candidate": best.id, "folder": name, "error": refit.get("error")},
        "rule": "no candidate is trained again after the first board origin; later origins show it newer history only",
    }
