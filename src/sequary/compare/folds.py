"""Rolling origins: when each backtest stands, what is known there, and what may be chosen from it.

Rule: with N steps of history and a horizon of H, there are F = min(12, floor(0.4 N / H)) origins, two at least, H steps
apart, the last one H steps before the end: no target is shared by two of them, and 60 % of the history lies before the
first. The first third (one at least) are *choice* origins; what is chosen is scored at the others, the *board* origins.
A model for choosing learns from what lies before the first choice origin, the final one from what lies before the first
board origin; later origins show it the newer history, but it is not trained again.

Origins are moments of the calendar, the same for all series, so that no model learns from one series what another will
bring. Where fewer than half of the series have anything to forecast at a common board origin (they come from different
years), each is counted back from its own end instead.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequary.compare.durations import plural
from sequary.data.errors import DataError
from sequary.data.panel import Panel, Series

MOST = 12
TRAIN_SHARE = 0.6


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Known are the first `rows[s]` rows of each series s; what follows is to be forecast."""

    time: str
    """Of the last known row, ISO 8601."""
    role: Literal["choice", "board"]
    rows: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Folds:
    origins: tuple[Origin, ...]
    rule: str
    """How they were found, in words."""
    moments: bool
    """Whether they are the same moments for all series."""

    @property
    def choice(self) -> tuple[Origin, ...]:
        return tuple(o for o in self.origins if o.role == "choice")

    @property
    def board(self) -> tuple[Origin, ...]:
        return tuple(o for o in self.origins if o.role == "board")


def count(length: int, horizon: int, source: str = "") -> int:
    """Number of origins for a history of that length, the longest of `source`.

    Raises:
        DataError: not even two origins leave two horizons to learn from.
    """
    if length < 4 * horizon:
        what = f"{length} steps are too few to backtest horizon={horizon}: 4 x {horizon} = {4 * horizon} are needed"
        raise DataError(what, file=source, mend=f"choose a horizon of at most {max(1, length // 4)}, or give more rows")
    return int(np.clip((1 - TRAIN_SHARE) * length / horizon + 1e-9, 2, MOST))


def role(index: int, total: int) -> Literal["choice", "board"]:
    return "choice" if index < max(1, total // 3) else "board"


def make(panel: Panel, horizon: int, *, source: str = "") -> Folds:
    """The origins of a panel by the rule above.

    Raises:
        DataError: `source` has no series that is long enough for two.
    """
    folds = _by_calendar(panel, horizon, source)
    shown = [
        any(o.rows[i] and truth(s, o.rows[i], horizon).size for o in folds.board) for i, s in enumerate(panel.series)
    ]
    return folds if 2 * sum(shown) >= len(shown) else _by_end(panel, horizon, source)


def _by_calendar(panel: Panel, horizon: int, source: str) -> Folds:
    enough = [s for s in panel.series if _span(s) >= 4 * horizon] or panel.series
    latest = max(enough, key=lambda s: s.times[-1]).times
    # One that ends a little later than all others is not to lay the origins of all.
    near = [s for s in enough if s.times[-1] >= latest[max(0, len(latest) - horizon)]]
    reference = max(near, key=lambda s: (_span(s), s.times[-1]))
    total = count(_span(reference), horizon, source)
    origins: list[Origin] = []
    for i in range(total):
        moment = reference.times[len(reference) - (total - i) * horizon - 1]
        rows = tuple(int(np.searchsorted(s.times, moment, side="right")) for s in panel.series)
        origins.append(Origin(words(moment), role(i, total), rows))
    return Folds(tuple(origins), _rule(origins, horizon, "at the same moments for all series"), moments=True)


def _by_end(panel: Panel, horizon: int, source: str) -> Folds:
    spans = [_span(s) for s in panel.series]
    # As many as the shortest allows that allows any; shorter ones take part in those that they reach.
    total = count(min((n for n in spans if n >= 4 * horizon), default=max(spans)), horizon, source)
    origins: list[Origin] = []
    for i in range(total):
        rows = tuple(max(0, len(s) - (total - i) * horizon) for s in panel.series)
        latest = max(s.times[n - 1] for s, n in zip(panel.series, rows, strict=True) if n)
        origins.append(Origin(words(latest), role(i, total), rows))
    return Folds(tuple(origins), _rule(origins, horizon, "counted back from the end of each series"), moments=False)


def _rule(origins: list[Origin], horizon: int, where: str) -> str:
    choice = sum(o.role == "choice" for o in origins)
    return (
        f"{len(origins)} rolling origins, {plural(horizon, 'step')} apart, {where}: {choice} to choose settings, then "
        f"{len(origins) - choice} for the board; trained on what lies before the first of each, not trained again"
    )


def _span(series: Series) -> int:
    """Steps from the first known value on."""
    seen = np.isfinite(series.values).any(axis=1)
    return len(series) - int(seen.argmax()) if seen.any() else 0


def words(moment: np.generic) -> str:
    """A time as the board writes it: ISO 8601, or a whole number."""
    return moment.astype("M8[us]").item().isoformat() if isinstance(moment, np.datetime64) else str(int(moment))


def truth(series: Series, rows: int, horizon: int) -> NDArray[np.float64]:
    """[n, C] what came after `rows` known ones, n <= horizon; empty where nothing of it is known."""
    found = series.values[rows : rows + horizon]
    return found if np.isfinite(found).any() else found[:0]


def known(panel: Panel, origin: Origin) -> tuple[Panel, tuple[int, ...]]:
    """The panel as it was known at an origin, and which of its series that is: those with a value in every channel."""
    kept = [i for i, (s, n) in enumerate(zip(panel.series, origin.rows, strict=True)) if _has_past(s, n)]
    series = tuple(panel.series[i].cut(origin.rows[i]) for i in kept)
    return dataclasses.replace(panel, series=series), tuple(kept)


def _has_past(series: Series, rows: int) -> bool:
    return rows > 1 and bool(np.isfinite(series.values[:rows]).any(axis=0).all())
