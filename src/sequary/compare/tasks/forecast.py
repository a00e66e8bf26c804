"""Tables: rolling forecasts from origins that no choice has seen."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from sequary.compare import backtest, folds, leak, scoring, systems
from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome, pictures
from sequary.compare.board import Fold, Plot, nulls
from sequary.compare.entrants import Entrant, Sized
from sequary.compare.folds import Folds
from sequary.compare.footprint import Footprint, of_forecaster
from sequary.compare.options import BadArgument, Options
from sequary.compare.ordinary import floors, ordinary
from sequary.compare.prepare import Prepared, arguments
from sequary.compare.suspects import suspects
from sequary.compare.systems import SystemEntrant
from sequary.compare.task import Task
from sequary.compare.words import Words
from sequary.data import frames, tables
from sequary.data.panel import Panel
from sequary.data.roles import Columns
from sequary.tasks import saved

WORDS = Words(
    one="forecast",
    many="forecasts",
    point="origin",
    head="last known",
    hidden="everything after an origin but declared future covariates",
)

HISTORY = 4
"""Horizons of history that a plot shows, 40 steps at least."""


@dataclasses.dataclass(frozen=True, slots=True)
class ForecastTask(Task):
    panel: Panel
    folds: Folds

    def run(self, entrant: Entrant, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        origins = self.folds.choice if role == "choice" else self.folds.board
        return backtest.trial(entrant, self.panel, origins, ask, drawn)

    def probe(self, entrant: Entrant, ask: Ask) -> list[float]:
        return leak.probe(entrant, self.panel, self.folds, ask)

    def plots(
        self, names: Sequence[str], drawn: Mapping[str, Mapping[str, dict[str, list[float]]]], ask: Ask
    ) -> list[Plot]:
        return [
            self._plot(name, {n: each[name] for n, each in drawn.items() if name in each}, ask.horizon)
            for name in names
        ]

    def _plot(self, name: str, forecasts: dict[str, dict[str, list[float]]], horizon: int) -> Plot:
        unit, _, fold = name.rpartition("@")
        index, channel = divmod(scoring.units(self.panel).index(unit), len(self.panel.channels))
        series, rows = self.panel.series[index], self.folds.board[int(fold)].rows[index]
        first = max(0, rows - max(HISTORY * horizon, 40))
        truth = scoring.padded_truth(self.panel, index, rows, horizon)[:, channel]
        ahead = series.times[rows : rows + horizon]  # fewer where the series ends before its horizon
        steps = len(ahead)
        return Plot(
            series=unit,
            history_times=[folds.words(t) for t in series.times[first:rows]],
            history=nulls(series.values[first:rows, channel]),
            times=[folds.words(t) for t in ahead],
            truth=nulls(truth[:steps]),
            forecasts={n: {key: line[:steps] for key, line in each.items()} for n, each in forecasts.items()},
        )

    def footprint(self, entrant: Entrant, ask: Ask) -> Footprint:
        return of_forecaster(cast("SystemEntrant", entrant).system, self.panel, ask)

    def fitted_to(self, entrant: Sized, seconds: float, costs: Mapping[str, float]) -> tuple[dict[str, Any], float]:
        return entrant.fitted_to(self.panel, seconds, costs, len(self.folds.board))

    def rival_costs(self, entrant: Sized, ask: Ask) -> dict[str, float]:
        found = entrant.costs(self.panel, self.folds.choice[0], ask)
        learned = entrant.learn(self.panel, self.folds.choice[0], ask.but(setting=entrant.light()))
        full = entrant.learn(self.panel, self.folds.choice[0], ask) if not entrant.seeded else learned
        return {**found, "latency_ms": 1000 * backtest.latency(full, self.panel, self.folds.choice[-1], ask)}

    def refit(self, entrant: Entrant, ask: Ask, folder: Path) -> None:
        saved.save(cast("SystemEntrant", entrant).fit(self.panel, ask), folder)


def prepare(data: Any, given: Options, columns: Columns) -> Prepared:
    source = str(data) if isinstance(data, str | Path) else "dataframe"
    panel, understood = tables.understand(frames.read(data), source=source, columns=columns, season=given.season)
    if given.horizon is None:
        raise BadArgument("how far ahead? give the horizon in steps, such as --horizon 24")
    longest = max(map(len, panel.series))
    if given.season is not None and given.season >= longest:
        raise BadArgument(f"season={given.season}: the longest series of {source} has {longest} steps; give fewer")
    panel, short = tables.check_lengths(panel, 2 * given.horizon, source=source)
    panel, origins, late = _folds(panel, given.horizon, source)
    metric = given.metric or "mase"
    if metric not in scoring.METRICS:
        raise BadArgument(f"metric={metric!r}: boards of forecasts rank by {', '.join(scoring.METRICS)}")
    chosen = systems.select(given.systems, given.family, task="forecast", default=systems.FORECASTERS)
    entrants = [*floors(), *ordinary(), *(SystemEntrant(id, title) for id, title in chosen)]
    notes = (*short, *late, f"backtest: {origins.rule}")
    task = ForecastTask(panel, origins)
    return Prepared(
        task=task,
        name="forecast",
        options=given,
        metric=metric,
        ask=Ask(horizon=given.horizon, levels=given.intervals),
        entrants=entrants,
        units=scoring.units(panel),
        folds=[Fold(origin=o.time, role=o.role, horizon=given.horizon) for o in origins.origins],
        data=_facts(understood.as_dict(), notes),
        lines=(*understood.lines(), *notes),
        suspects=suspects(panel, given.horizon),
        moments=origins.moments,
        drawn=tuple(pictures(panel, origins, given.horizon)),
        arguments=arguments(given, metric, entrants, _digest(panel)),
    )


def _folds(panel: Panel, horizon: int, source: str) -> tuple[Panel, folds.Folds, tuple[str, ...]]:
    """The origins; a channel of a single series that begins after the first of them is left out, and named."""
    found = folds.make(panel, horizon, source=source)
    first = found.origins[0]
    if len(panel.series) != 1:
        return panel, found, ()
    one = panel.series[0]
    begins = np.where(np.isfinite(one.values).any(axis=0), np.isfinite(one.values).argmax(axis=0), len(one))
    kept = [c for c in range(len(panel.channels)) if begins[c] < first.rows[0]]
    late = [name for c, name in enumerate(panel.channels) if c not in kept]
    if not late or not kept:
        return panel, found, ()
    channels = tuple(panel.channels[c] for c in kept)
    panel = dataclasses.replace(
        panel, series=(dataclasses.replace(one, values=one.values[:, kept]),), channels=channels
    )
    notes = tuple(f"column {name!r} has no value before {first.time}: left out" for name in late)
    return panel, folds.make(panel, horizon, source=source), notes


def _facts(understood: dict[str, Any], notes: tuple[str, ...]) -> dict[str, Any]:
    """For the report: what is there, in a reader's words."""
    short, median, long = understood["lengths"]
    facts: dict[str, Any] = {
        "file": understood["file"],
        "rows": understood["rows"],
        "layout": understood["layout"],
        "series": understood["series"],
        "steps": long if short == long else f"{short} to {long}, median {median}",
        "target": list(understood["channels"]),
        "time": f"column {understood['time']}, {understood['start']} to {understood['end']}",
        "frequency": f"{understood['frequency']}, season {understood['season']}",
        "gaps": understood["gaps"],
        "missing values": understood["missing"],
        "duplicates": understood["duplicates"],
    }
    if understood["covariates"]:
        facts["covariates"] = [f"{c['name']} ({c['kind']}: {c['how']})" for c in understood["covariates"]]
    if understood["constant"]:
        facts["constant"] = list(understood["constant"])
    return {**facts, "notes": [*understood["notes"], *notes]}


def _digest(panel: Panel) -> str:
    """Of all numbers and names that a panel holds."""
    found = hashlib.sha256(repr((panel.channels, panel.frequency, panel.past, panel.future, panel.static)).encode())
    for series in panel.series:
        found.update(series.id.encode())
        for array in (series.times, series.values, series.past, series.future, series.static):
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
