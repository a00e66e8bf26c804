"""The board: everything a comparison found out, as one value that is written as `board.json` and drawn as the report."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, Literal

Status = Literal["ok", "crashed", "too large", "too slow", "over parameters", "out of time", "leak"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One setting tried on one rung of successive halving, scored on choice origins only."""

    rung: int
    setting: dict[str, Any]
    steps: int
    seconds: float
    score: float | None
    kept: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    id: str
    title: str
    kind: Literal["floor", "rival", "system"]
    status: Status = "ok"
    error: str | None = None
    """Why there are no metrics; None where there are."""
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    """mase, mae, mse, crps, coverage_80, coverage_95 … (bits_per_byte for text): means over board origins, series, seeds."""
    spread: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    """metric -> {"seeds": standard deviation over seeds, "folds": over origins}."""
    by_series: dict[str, float] = dataclasses.field(default_factory=dict)
    """Series (or channel) -> the board's main metric."""
    by_fold: list[float] = dataclasses.field(default_factory=list)
    params: int = 0
    train_s: float = 0.0
    latency_ms: float = 0.0
    """Of one answer: a forecast of every channel of one series, and what `Words.one` of other tasks says. Median of repeats."""
    memory_mb: float = 0.0
    """Peak memory that training added to the process."""
    setting: dict[str, Any] = dataclasses.field(default_factory=dict)
    rungs: list[Rung] = dataclasses.field(default_factory=list)
    curve: list[tuple[int, float, float | None]] = dataclasses.field(default_factory=list)
    """(step, training loss, validation loss or None): the learning curve of the first seed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The best candidate against another: a paired test, Holm-corrected."""

    best: str
    other: str
    test: Literal["Diebold-Mariano", "Wilcoxon", "none"]
    pairs: int
    p: float | None
    """Holm-adjusted; None where the pairs are too few for any difference to show."""
    verdict: Literal["better", "tie", "too little data to separate"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    origin: str
    """Time of the last known row, ISO 8601 (a byte offset for text)."""
    role: Literal["choice", "board"]
    horizon: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    probed: int
    """Folds x candidates whose answers were compared."""
    max_shift: float
    """The greatest move of any answer when what it may not see was perturbed. Must be 0.0."""
    by_fold: list[float] = dataclasses.field(default_factory=list)
    suspects: list[str] = dataclasses.field(default_factory=list)
    """Covariates that equal a shift or an affine map of the target, in words."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One series at one board origin, for the report: history, truth, and each shown candidate's forecast with its band."""

    series: str
    history_times: list[str]
    history: list[float | None]
    times: list[str]
    truth: list[float | None]
    forecasts: dict[str, dict[str, list[float]]]
    """candidate -> {"mean": [...], "lo80": [...], "hi80": [...], "lo95": [...], "hi95": [...]} (bands where it has them)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """`data`: what was understood (file, rows, series, frequency, gaps, missing …) as printable key -> value."""

    data: dict[str, Any]
    task: str
    metric: str
    """The metric that ranks: mase by default, bits_per_byte for text. Lower is better."""
    folds: list[Fold]
    candidates: list[Candidate]
    """Ranked, best first; those without metrics last. None is left out."""
    floors: list[str]
    leak: Leak
    ties: list[Pair]
    verdict: str
    manifest: dict[str, Any]
    plots: list[Plot] = dataclasses.field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As JSON types."""
        return dataclasses.asdict(self)


def nulls(values: Iterable[float]) -> list[float | None]:
    """As JSON has numbers: None for what is not finite."""
    return [float(v) if math.isfinite(v) else None for v in values]
