"""The leaderboard on a terminal, as plain lines for pipes, and as `board.csv`."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sequary.compare import words
from sequary.compare.board import Board, Candidate
from sequary.compare.columns import Column, columns, metric_keys, one_line, reason, scored, unscored

_WORDS = ("system", "kind", "against")
# Narrow terminals lose columns from the start of this list; who, how well and how sure stay.
_LEFT_OUT_FIRST = (
    *("memory_mb", "mse", "mae", "crps", "coverage_95", "seeds", "params", "folds", "coverage_80", "train_s"),
    *("kind", "rank", "versus", "latency_ms"),
)


def show(board: Board, console: Console) -> None:
    """Print it: a table on a terminal (what does not fit its width is named), else plain lines."""
    if not console.is_terminal:
        console.file.write(plain(board))
        return
    shown, left_out = columns(board), []
    for key in _LEFT_OUT_FIRST:
        if _width(shown) <= console.width:
            break
        left_out += [c.head for c in shown if c.key == key]
        shown = [c for c in shown if c.key != key]
    if shown:
        console.print(_table(board, shown))
    for candidate in unscored(board):
        console.print(Text(f"{one_line(candidate.id)}  {reason(candidate)}", style="red"), soft_wrap=True)
    if left_out:
        console.print(Text(f"not shown for want of width: {', '.join(left_out)}", style="dim"), soft_wrap=True)
    if scale := words.of(board.task).scale:
        console.print(Text(scale, style="dim"), soft_wrap=True)
    console.print(Text(one_line(board.verdict), style="bold"))


def _width(shown: list[Column]) -> int:
    return sum(2 + max(cell_len(text) for text in [c.head, *c.text]) for c in shown)


def _table(board: Board, shown: list[Column]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in shown:
        table.add_column(Text(column.head), justify="left" if column.key in _WORDS else "right", no_wrap=True)
    for i, candidate in enumerate(scored(board)):
        style = "bold" if i == 0 else "dim" if candidate.kind == "floor" else ""
        table.add_row(*[Text(c.text[i] or "–") for c in shown], style=style)
    return table


def plain(board: Board) -> str:
    """Every column, one line for each candidate, two spaces between columns; then failures and verdict."""
    shown = columns(board)
    cells = [[c.head, *(text or "–" for text in c.text)] for c in shown]
    widths = [max(map(len, column)) for column in cells]
    lines = [
        "  ".join(
            text.ljust(width) if column.key in _WORDS else text.rjust(width)
            for text, width, column in zip(row, widths, shown, strict=True)
        ).rstrip()
        for row in zip(*cells, strict=True)
    ]
    lines += [f"{one_line(c.id)}  {reason(c)}" for c in unscored(board)]
    return "\n".join(filter(None, [*lines, words.of(board.task).scale, one_line(board.verdict)])) + "\n"


def csv_text(board: Board) -> str:
    """Every candidate in the board's order, six significant digits, empty cells where there is nothing."""
    metrics = metric_keys(board.candidates)
    spreads = [
        (metric, over)
        for metric in metrics
        for over in ("seeds", "folds")
        if any(over in c.spread.get(metric, {}) for c in board.candidates)
    ]
    rows = [_record(board, candidate, metrics, spreads) for candidate in board.candidates]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["rank", "id"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _record(board: Board, c: Candidate, metrics: list[str], spreads: list[tuple[str, str]]) -> dict[str, Any]:
    ranked = scored(board)
    pair = next((p for p in board.ties if p.other == c.id), None)
    return {
        "rank": ranked.index(c) + 1 if c in ranked else "",
        "id": c.id,
        "title": c.title,
        "kind": c.kind,
        "status": c.status,
        "error": one_line(c.error or ""),
        **{metric: _six(c.metrics.get(metric)) for metric in metrics},
        **{f"{metric}_sd_{over}": _six(c.spread.get(metric, {}).get(over)) for metric, over in spreads},
        "params": c.params,
        "train_s": _six(c.train_s),
        "latency_ms": _six(c.latency_ms),
        "memory_mb": _six(c.memory_mb),
        "best_is": pair.verdict if pair else "",
        "p": _six(pair.p) if pair else "",
        "setting": json.dumps(c.setting, ensure_ascii=False),
    }


def _six(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.6g}"
