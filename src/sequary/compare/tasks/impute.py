"""Tables with gaps: known values are hidden in blocks, and what imputers put there is compared with them.

Every series is cut into up to twelve parts of equal length, in which 10, 30 and 50 % of each channel are hidden, in turn, in
blocks of `--horizon` steps. Everything hidden is hidden at once: a candidate learns from the rest of the whole table, as one
does who fills a table's own gaps, and the first three parts choose settings, the others make the board.

The leak probe changes every hidden value, replays learning and filling, and compares all that is filled.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from sequary.compare import footprint, leak, scoring, systems
from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome
from sequary.compare.board import Fold, Plot, nulls
from sequary.compare.candidates import plain
from sequary.compare.folds import words
from sequary.compare.footprint import Footprint
from sequary.compare.hiding import RATES, Hiding, lay, losses, seen
from sequary.compare.imputers import ImputerEntrant, ordinary
from sequary.compare.options import BadArgument, Options
from sequary.compare.prepare import Prepared, arguments
from sequary.compare.task import Task
from sequary.compare.words import Words
from sequary.core import catalogue
from sequary.core.values import Batch
from sequary.data import frames, tables
from sequary.data.panel import Floats, Panel
from sequary.data.roles import Columns
from sequary.tasks import saved
from sequary.tasks.impute import train as imputing
from sequary.tasks.impute.fitted import Filled
from sequary.tasks.training import altered

SCALE = "Errors are in standard deviations of what is known of each channel."
WORDS = Words(one="series", many="fillings", point="part", head="begins", hidden="every hidden value", scale=SCALE)

METRICS = ("mae", "rmse")
DRAWN = 8
IMPUTERS = ("saits",)
"""Who takes part when nobody is named."""


@dataclasses.dataclass(frozen=True, slots=True)
class ImputeTask(Task):
    panel: Panel
    hiding: Hiding

    def run(self, entrant: Any, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        hidden = self.hiding.cells
        learned = entrant.learn(self.panel, hidden, ask)
        began = perf_counter()
        said: list[Filled] = learned.fill(self.panel, hidden, ask)
        took = perf_counter() - began
        return Outcome(
            losses={
                name: rows.tolist() for name, rows in losses(self.panel, self.hiding, said, role, ask.levels).items()
            },
            params=learned.params,
            train_s=learned.train_s,
            latency_ms=1000 * took / len(self.panel.series),
            curve=learned.curve,
            fixed=learned.fixed,
            drawn={name: self._lines(name, said, ask) for name in drawn},
        )

    def probe(self, entrant: Any, ask: Ask) -> list[float]:
        ask, hidden = leak.quick(entrant, ask), self.hiding.cells
        other = self.hiding.perturbed(self.panel)
        true: list[Filled] = entrant.learn(self.panel, hidden, ask).fill(self.panel, hidden, ask)
        again: list[Filled] = entrant.learn(other, hidden, ask).fill(other, hidden, ask)
        moved = [0.0] * len(self.hiding.roles)
        for a, b, part_T in zip(true, again, self.hiding.parts, strict=True):
            pairs = [(a.values, b.values), *((a.half[c], b.half[c]) for c in a.half)]
            for fold in range(len(moved)):
                here = part_T == fold
                moved[fold] = max(moved[fold], *(_move(old[here], new[here]) for old, new in pairs))
        return moved

    def plots(
        self, names: Sequence[str], drawn: Mapping[str, Mapping[str, dict[str, list[float]]]], ask: Ask
    ) -> list[Plot]:
        known, found = seen(self.panel, self.hiding.cells), list[Plot]()
        for name in names:
            series, channel, start, stop, end = self._where(name)
            first = max(0, start - max(3 * (stop - start), 40))
            times = [words(t) for t in self.panel.series[series].times[first:end]]
            found.append(
                Plot(
                    series=name.rpartition("@")[0],
                    history_times=times[: start - first],
                    history=nulls(known.series[series].values[first:start, channel]),
                    times=times[start - first :],
                    truth=nulls(self.panel.series[series].values[start:end, channel]),
                    forecasts={n: each[name] for n, each in drawn.items() if name in each},
                )
            )
        return found

    def _where(self, name: str) -> tuple[int, int, int, int, int]:
        """Series, channel, where the hidden block begins and ends, and where what is drawn ends."""
        unit, _, at = name.rpartition("@")
        series, channel = divmod(scoring.units(self.panel).index(unit), len(self.panel.channels))
        start = int(at)
        gone = self.hiding.cells[series][start:, channel]
        stop = start + (int(gone.argmin()) if not gone.all() else len(gone))
        return series, channel, start, stop, min(stop + (stop - start + 1) // 2, len(self.panel.series[series]))

    def _lines(self, name: str, said: Sequence[Filled], ask: Ask) -> dict[str, list[float]]:
        series, c, start, stop, end = self._where(name)
        filled, after = said[series], [float("nan")] * (end - stop)
        found = {"mean": filled.values[start:stop, c].tolist() + after}
        for level in ask.levels if filled.half else ():
            for side, sign in (("lo", -1), ("hi", 1)):
                ends = filled.values[start:stop, c] + sign * filled.half[level][start:stop, c]
                found[f"{side}{scoring.percent(level)}"] = ends.tolist() + after
        return found

    def footprint(self, entrant: Any, ask: Ask) -> Footprint:
        recipe = catalogue.load(entrant.id).recipe
        assert recipe is not None
        context = int(ask.setting.get("context", imputing.default_context(self.panel)))
        bound = imputing.prepare(altered(recipe, plain(ask.setting)), self.panel, context=context)
        values = torch.randn(
            footprint.ROWS, context, len(self.panel.channels), generator=torch.Generator().manual_seed(0)
        )
        return footprint.of(bound, Batch(values=values))

    def rival_costs(self, entrant: Any, ask: Ask) -> dict[str, float]:
        return entrant.costs(self.panel, self.hiding.cells, ask)

    def fitted_to(self, entrant: Any, seconds: float, costs: Mapping[str, float]) -> tuple[dict[str, Any], float]:
        return entrant.fitted_to(seconds, costs)

    def refit(self, entrant: Any, ask: Ask, folder: Path) -> None:
        saved.save(entrant.fit(self.panel, ask), folder)


def _move(old: Floats, new: Floats) -> float:
    if np.array_equal(old, new, equal_nan=True):
        return 0.0
    moved = np.abs(old - new)
    return float("inf") if np.isnan(moved[np.isnan(old) != np.isnan(new)]).any() else float(np.nanmax(moved))


def prepare(data: Any, given: Options, columns: Columns) -> Prepared:
    source = str(data) if isinstance(data, str | Path) else "dataframe"
    panel, understood = tables.understand(frames.read(data), source=source, columns=columns, season=given.season)
    hiding, panel, notes = lay(imputing.targets(panel), given.horizon, source)
    metric = given.metric or "mae"
    if metric not in METRICS:
        raise BadArgument(f"metric={metric!r}: boards of imputers rank by {', '.join(METRICS)}")
    chosen = systems.select(given.systems, given.family, task="impute", default=IMPUTERS)
    entrants = [*ordinary(), *(ImputerEntrant(id, title) for id, title in chosen)]
    longest = max(panel.series, key=len)
    starts = [len(longest) * f // len(hiding.roles) for f in range(len(hiding.roles))]
    facts = understood.as_dict()
    return Prepared(
        task=ImputeTask(panel, hiding),
        name="impute",
        options=given,
        metric=metric,
        ask=Ask(horizon=hiding.block, levels=given.intervals),
        entrants=entrants,
        units=scoring.units(panel),
        folds=[
            Fold(origin=words(longest.times[s]), role=r, horizon=hiding.block)
            for s, r in zip(starts, hiding.roles, strict=True)
        ],
        data={
            **{key: facts[key] for key in ("file", "rows", "layout", "series", "frequency", "season", "gaps")},
            "missing values": facts["missing"],
            "hidden in turn": ", ".join(f"{r:.0%}" for r in RATES),
            "notes": notes,
        },
        lines=(*understood.lines(), *notes),
        suspects=[],
        drawn=hiding.pictures(panel, scoring.units(panel), DRAWN),
        arguments=arguments(given, metric, entrants, _digest(panel)),
    )


def _digest(panel: Panel) -> str:
    found = hashlib.sha256(repr((panel.channels, panel.frequency)).encode())
    for series in panel.series:
        found.update(series.id.encode() + series.times.tobytes() + np.ascontiguousarray(series.values).tobytes())
    return found.hexdigest()
