"""`report.html`, `board.json` and `board.csv` from a Board.

The page needs nothing but itself: no network, and no script to be read. What comes from data (names, errors,
settings) is escaped by the template engine; only our own figures are marked safe.
"""

from __future__ import annotations

import importlib.resources
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from sequary.compare import columns as table
from sequary.compare import figures, words
from sequary.compare.board import Board, Candidate
from sequary.compare.by_series import by_series
from sequary.compare.leaderboard import csv_text
from sequary.compare.pareto import front, pareto
from sequary.core.files import write_atomic

_PLOTS = 12
_COSTS = (("latency_ms", "latency in milliseconds"), ("train_s", "seconds of training"))


def write(board: Board, folder: Path) -> Path:
    """Write the three files; the path of the page.

    Raises:
        OutputError: a file cannot be written; the others are whole or untouched.
    """
    write_atomic(folder / "board.json", json_text(board))
    write_atomic(folder / "board.csv", csv_text(board))
    write_atomic(folder / "report.html", render(board))
    return folder / "report.html"


def json_text(board: Board) -> str:
    """`board.json` as docs/board.md describes it; a number that JSON cannot hold (NaN, infinity) is null."""
    return json.dumps(_finite(board.plain()), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def render(board: Board) -> str:
    """The page. Equal boards give equal pages."""
    engine = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    engine.filters |= {"words": _words, "moment": _moment}
    source = importlib.resources.files("sequary.compare").joinpath("report.html.j2").read_text(encoding="utf-8")
    return engine.from_string(source).render(_facts(board))


def _facts(board: Board) -> dict[str, Any]:
    """What the template is given: the board, and what is derived from it."""
    ranked = table.scored(board)
    best = ranked[0] if ranked else None
    other = _other(board, best)
    tied = [p.other for p in board.ties if p.verdict == "tie"]
    return {
        "board": board,
        "said": words.of(board.task),
        "ranked": ranked,
        "failed": [(c, table.reason(c)) for c in table.unscored(board)],
        "best": best,
        "other": other,
        "metric": table.metric_name(board.metric),
        "columns": table.columns(board),
        "tied": tied,
        "unclear": [p.other for p in board.ties if p.verdict == "too little data to separate"],
        "beaten": [p.other for p in board.ties if p.verdict == "better"],
        "frugal": min([c for c in ranked if c is best or c.id in tied], key=lambda c: c.latency_ms, default=None),
        "gain": next((c.text[0] for c in table.columns(board) if c.key == "versus"), ""),
        "bands": sorted({level for p in board.plots for level in figures.bands(p, best.id)}, key=float) if best else [],
        "plots": _plots(board, best, other),
        "fronts": _fronts(board, ranked),
        "curves": [(c, figures.curve(c, f"curve{i}", _curve_alt(c))) for i, c in enumerate(ranked) if c.curve],
        "series": by_series(best, other),
        "timeline": _timeline(board),
        "shifts": _shifts(board),
        "tuned": [c for c in board.candidates if c.rungs],
        "data": {key: _words(value) for key, value in board.data.items()},
        "manifest": json.dumps(_finite(board.manifest), indent=2, ensure_ascii=False),
        "embedded": _finite(_numbers(board)),
        "cost": table.cost,
        "count": table.count,
        "p_value": table.p_value,
    }


def _other(board: Board, best: Candidate | None) -> Candidate | None:
    """Whom the best is drawn against: the best floor, or the runner-up where a floor is itself the best."""
    ranked, floor = table.scored(board), table.best_floor(board)
    return floor if floor is not best else next(iter(ranked[1:]), None)


def _plots(board: Board, best: Candidate | None, other: Candidate | None) -> list[tuple[str, str, Any]]:
    if best is None:
        return []
    found = []
    for i, plot in enumerate(board.plots[:_PLOTS]):
        against = f", against {other.id}" if other is not None else ""
        banded = " with its bands" if figures.bands(plot, best.id) else ""
        alt = f"{plot.series}: {len(plot.times)} steps by {best.id}{banded}{against}, and the truth"
        drawn = figures.forecast(plot, best.id, other and other.id, f"forecast{i}", alt)
        found.append((plot.series, plot.times[0], drawn))
    return found


def _fronts(board: Board, ranked: list[Candidate]) -> list[tuple[str, list[str], Any]]:
    """For each cost that differs between candidates: its name, who is on the front, the figure."""
    found = []
    for field, cost in _COSTS:
        costs = [float(getattr(c, field)) for c in ranked]
        if len(set(costs)) < 2:
            continue
        on = [ranked[i].id for i in front([(x, c.metrics[board.metric]) for x, c in zip(costs, ranked, strict=True)])]
        name = table.metric_name(board.metric)
        alt = f"{name} against {cost} for {len(ranked)} candidates; on the front, cheapest first: {', '.join(on)}"
        found.append((cost, on, pareto(ranked, board.metric, field, (f"{cost} (log)", name), alt)))
    return found


def _curve_alt(c: Candidate) -> str:
    held = [v for _, _, v in c.curve if v is not None]
    end = f", validation from {held[0]:.3g} to {held[-1]:.3g}" if held else ""
    train = f"training loss {c.curve[0][1]:.3g} to {c.curve[-1][1]:.3g}"
    return f"Learning curve of {c.id} over {c.curve[-1][0]} steps: {train}{end}"


def _timeline(board: Board) -> list[tuple[Any, float]]:
    """Each fold with its place between the first origin (0) and the last (100)."""
    times = figures.axis([f.origin for f in board.folds])
    if len(times) < 2 or times[-1] == times[0]:
        return [(fold, 50.0) for fold in board.folds]
    span = times[-1] - times[0]
    return [(fold, round(100 * float((t - times[0]) / span), 2)) for fold, t in zip(board.folds, times, strict=True)]


def _shifts(board: Board) -> list[float | None]:
    """The probe's greatest shift at each fold, None where only board origins were probed; empty if there is none."""
    probed = board.leak.by_fold
    judged = [f for f in board.folds if f.role == "board"]
    if len(probed) == len(board.folds):
        return list(probed)
    return [None] * (len(board.folds) - len(judged)) + list(probed) if probed and len(probed) == len(judged) else []


def _numbers(board: Board) -> dict[str, Any]:
    """What the page carries as data: the board without what is drawn (plots, curves) or may be large (series)."""
    plain = board.plain()
    plain.pop("plots")
    for candidate in plain["candidates"]:
        del candidate["curve"], candidate["by_series"]
    return plain


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _moment(time: str) -> str:
    """An ISO time without the parts that are zero: `2024-01-01`, `2024-01-01 06:00`."""
    return time.replace("T", " ").removesuffix(":00" if time.count(":") == 2 else " ").removesuffix(" 00:00")


def _words(value: Any) -> str:
    """A value for reading: `lr 0.001 · dim 64`, `a, b, c`; long lists are cut with their length said."""
    if isinstance(value, Mapping):
        return " · ".join(f"{k} {_words(v)}" for k, v in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        said = ", ".join(_words(v) for v in value[:8]) or "none"
        return f"{said} … ({len(value)} in all)" if len(value) > 8 else said
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)
