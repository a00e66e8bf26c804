"""What the leaderboard shows, once: columns for the terminal and the page, and how numbers are written.

Numbers of a column share their decimals, so that they can be compared by eye.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from sequary.compare import words
from sequary.compare.board import Board, Candidate

NAMES = {
    "mase": "MASE",
    "mae": "MAE",
    "mse": "MSE",
    "rmse": "RMSE",
    "mae_10": "MAE 10 %",
    "mae_30": "MAE 30 %",
    "mae_50": "MAE 50 %",
    "crps": "CRPS",
    "bits_per_byte": "bits per byte",
    "error": "error rate",
    "log_loss": "log loss",
    "f1_error": "1 − macro F1",
    "frechet": "Fréchet distance",
    "times_real": "× real images",
    "wrong_class": "wrong class",
    "event_error": "1 − F1 of events",
    "order_error": "1 − AUROC",
    "missed": "events missed",
    "alarms_week": "false alarms a week",
    "alarms_1000": "false alarms per 1000 steps",
    "delay": "steps to settle",
}
_VERDICTS = {"better": "worse", "tie": "tie", "too little data to separate": "too little data"}


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One cell for each scored candidate, best first: as text ("" where empty), and as the number to sort by."""

    key: str
    head: str
    text: list[str]
    values: list[float | None]
    hint: str = ""

    @property
    def numeric(self) -> bool:
        return any(v is not None for v in self.values)


def scored(board: Board) -> list[Candidate]:
    """Those with a finite value of the ranking metric, best first."""
    return [c for c in board.candidates if math.isfinite(c.metrics.get(board.metric, math.nan))]


def unscored(board: Board) -> list[Candidate]:
    return [c for c in board.candidates if not math.isfinite(c.metrics.get(board.metric, math.nan))]


def best_floor(board: Board) -> Candidate | None:
    return next((c for c in scored(board) if c.id in board.floors), None)


def metric_name(key: str) -> str:
    """`coverage_80` -> `in 80 %`: the share of truths inside the 80 % band."""
    return f"in {key[9:]} %" if key.startswith("coverage_") else NAMES.get(key, key.replace("_", " "))


def metric_keys(candidates: Sequence[Candidate]) -> list[str]:
    """Every metric that any of them has: the known ones in the usual order, then the rest by name."""
    known = list(NAMES)
    return sorted({k for c in candidates for k in c.metrics}, key=lambda k: (known.index(k) if k in NAMES else 99, k))


def reason(candidate: Candidate) -> str:
    """Why it has no score, on one line."""
    return one_line(f"{candidate.status}: {candidate.error}" if candidate.error else candidate.status)


def against_best(board: Board, candidate: Candidate) -> str:
    """'best', 'worse, p 0.003', 'tie, p 0.4' or 'too little data', as the paired tests found; '' without one."""
    pair = next((p for p in board.ties if p.other == candidate.id), None)
    if pair is None:
        return "best" if candidate is scored(board)[0] else ""
    return _VERDICTS[pair.verdict] if pair.p is None else f"{_VERDICTS[pair.verdict]}, p {p_value(pair.p)}"


def columns(board: Board) -> list[Column]:
    """Rank, system, kind, the metric with its spreads, the gain over the best floor, other metrics, costs, test."""
    rows, said = scored(board), words.of(board.task)
    main = [c.metrics[board.metric] for c in rows]
    spreads = {over: [c.spread.get(board.metric, {}).get(over) for c in rows] for over in ("seeds", "folds")}
    found = [
        Column("rank", "#", [str(i + 1) for i in range(len(rows))], [i + 1.0 for i in range(len(rows))]),
        Column("system", "system", [one_line(c.id) for c in rows], [None] * len(rows)),
        Column("kind", "kind", [c.kind for c in rows], [None] * len(rows)),
        Column("metric", metric_name(board.metric), digits(main), list(main), "ranks the board; lower is better"),
        Column(
            "seeds",
            "± seeds",
            digits(spreads["seeds"], like=main),
            spreads["seeds"],
            "standard deviation over seeds",
        ),
        Column(
            "folds",
            "± folds",
            digits(spreads["folds"], like=main),
            spreads["folds"],
            f"standard deviation over {said.point}s",
        ),
        _versus_floor(board, main),
        *[_metric(key, rows) for key in metric_keys(rows) if key != board.metric],
        Column("params", "params", [count(c.params) for c in rows], [c.params for c in rows], "parameters"),
        _cost("train_s", "train s", [c.train_s for c in rows], "seconds of training"),
        _cost("latency_ms", "latency ms", [c.latency_ms for c in rows], f"per {said.one}, median of repeats"),
        _cost("memory_mb", "memory MB", [c.memory_mb for c in rows], "peak memory that training added"),
        Column("against", "against best", [against_best(board, c) for c in rows], [None] * len(rows), "paired tests"),
    ]
    return [c for c in found if any(c.text)]


def _versus_floor(board: Board, main: list[float]) -> Column:
    floor = best_floor(board)
    if floor is None or floor.metrics[board.metric] <= 0:
        return Column("versus", "vs floor", [""] * len(main), [None] * len(main))
    gains = [100 * (m / floor.metrics[board.metric] - 1) for m in main]
    return Column("versus", "vs floor", [percent(g) for g in gains], list(gains), f"against the best floor, {floor.id}")


def _metric(key: str, rows: list[Candidate]) -> Column:
    values = [c.metrics.get(key) for c in rows]
    if key.startswith("coverage_"):
        texts = ["" if v is None else f"{100 * v:.0f} %" for v in values]
        return Column(key, metric_name(key), texts, values, f"truths inside the {key[9:]} % band")
    return Column(key, metric_name(key), digits(values), values)


def _cost(key: str, head: str, values: list[float], hint: str) -> Column:
    return Column(key, head, [cost(v) for v in values], list(values), hint)


def digits(
    values: Sequence[float | None], significant: int = 3, *, like: Sequence[float | None] | None = None
) -> list[str]:
    """Texts with common decimals: the smallest magnitude keeps its significant digits (six decimals at most).

    `like`: the column whose magnitudes decide instead, for a spread, which is read beside what it is the spread of.
    """
    finite = [v if v is not None and math.isfinite(v) else None for v in values]
    sizes = [abs(v) for v in (values if like is None else like) if v and math.isfinite(v)]
    if sizes and (max(sizes) >= 1e7 or max(sizes) < 1e-4):
        return ["" if v is None else f"{v:.{significant - 1}e}" for v in finite]
    places = min(6, max(0, significant - 1 - math.floor(math.log10(min(sizes))))) if sizes else 0
    return ["" if v is None else f"{v:.{places}f}" for v in finite]


def cost(value: float) -> str:
    """Two significant digits, whole from ten on, no exponent: 0.012, 1.2, 12, 1234."""
    return f"{value:.{max(0, 1 - math.floor(math.log10(abs(value))))}f}" if value else "0"


def count(number: int) -> str:
    """950, 12.3 k, 1.24 M, 38.7 B."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:{'.0f' if number >= 100 * size else '.3g'}} {unit}"
    return str(number)


def percent(value: float) -> str:
    """A signed change with a true minus sign; whole percents from 100 on."""
    if value == 0:
        return "0 %"
    return (f"{value:+.0f} %" if abs(value) >= 100 else f"{value:+.1f} %").replace("-", "−")


def p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def one_line(text: object) -> str:
    """Nothing that a terminal would obey: control characters and line ends become spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
