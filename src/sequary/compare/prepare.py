"""Before anything is trained: the data understood, the folds laid, the candidates named, nonsense refused."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sequary.compare import folds, scoring, speech, systems
from sequary.compare.ask import Ask
from sequary.compare.backtest import pictures
from sequary.compare.board import Fold
from sequary.compare.options import BadArgument, Options
from sequary.compare.ordinary import floors, ordinary
from sequary.compare.suspects import suspects
from sequary.compare.systems import SystemEntrant
from sequary.compare.task import ForecastTask, Task
from sequary.data import frames, tables, texts
from sequary.data.panel import Panel
from sequary.data.roles import Columns


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    task: Task
    name: str
    """Of the task, as the board has it."""
    options: Options
    metric: str
    ask: Ask
    entrants: list[Any]
    units: list[str]
    folds: list[Fold]
    data: dict[str, Any]
    lines: tuple[str, ...]
    """What was understood, one fact a line."""
    suspects: list[str]
    drawn: tuple[str, ...]
    arguments: dict[str, Any]
    """All that the result depends on: what a stopped comparison must share with the one that continues it."""


def prepare(data: Any, given: Options, *, task: str | None, columns: Columns) -> Prepared:
    """For a path or a dataframe.

    Raises:
        DataError, BadArgument, UnknownSystem: one line with the mend.
    """
    if task not in (None, "forecast", "text"):
        raise BadArgument(f"task={task!r} is not built; there are forecast and text")
    text = isinstance(data, str | Path) and texts.is_text(data) if task is None else task == "text"
    if text:
        return _text(data, given)
    return _table(data, given, columns)


def _table(data: Any, given: Options, columns: Columns) -> Prepared:
    if given.horizon is None:
        raise BadArgument("how far ahead? give the horizon in steps, such as --horizon 24")
    source = str(data) if isinstance(data, str | Path) else "dataframe"
    panel, understood = tables.understand(frames.read(data), source=source, columns=columns)
    panel, short = tables.check_lengths(panel, 2 * given.horizon)
    panel, origins, late = _folds(panel, given.horizon)
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
        ask=Ask(horizon=given.horizon, levels=given.levels),
        entrants=entrants,
        units=scoring.units(panel),
        folds=[Fold(origin=o.time, role=o.role, horizon=given.horizon) for o in origins.origins],
        data=_facts(understood.as_dict(), notes),
        lines=(*understood.lines(), *notes),
        suspects=suspects(panel, given.horizon),
        drawn=tuple(pictures(panel, origins, given.horizon)),
        arguments=arguments(given, metric, entrants, _digest(panel)),
    )


def _text(path: str | Path, given: Options) -> Prepared:
    text = texts.read_text(path)
    if given.horizon is not None and 4 * given.horizon > len(text):
        raise BadArgument(f"horizon={given.horizon}: blocks of at most {len(text) // 4} bytes fit into this text")
    block, origins, laid = speech.lay(text, given.horizon)
    if given.metric not in (None, "bits_per_byte"):
        raise BadArgument(f"metric={given.metric!r}: boards of texts rank by bits_per_byte")
    chosen = systems.select(given.systems, given.family, task="language", default=systems.SPEAKERS)
    grams = [speech.NGramEntrant(f"{n}-gram", f"Interpolated Kneser-Ney, {n} bytes", n) for n in (3, 6)]
    entrants = [*grams, *(speech.SpeakerEntrant(id, title) for id, title in chosen)]
    roles = tuple(f.role for f in laid)
    rule = (
        f"{len(laid)} rolling origins, {block:,} bytes apart: {roles.count('choice')} to choose settings, then "
        f"{roles.count('board')} for the board; trained on what lies before the first of each, not trained again"
    )
    return Prepared(
        task=speech.TextTask(text, block, origins, roles),
        name="language model",
        options=given,
        metric="bits_per_byte",
        ask=Ask(horizon=block),
        entrants=entrants,
        units=["text"],
        folds=list(laid),
        data={"file": str(path), "bytes": len(text), "distinct bytes": len(np.unique(text)), "notes": [rule]},
        lines=(f"{path}: text, {len(text):,} bytes, {len(np.unique(text))} of them distinct", f"backtest: {rule}"),
        suspects=[],
        drawn=(),
        arguments=arguments(given, "bits_per_byte", entrants, hashlib.sha256(text.tobytes()).hexdigest()),
    )


def _folds(panel: Panel, horizon: int) -> tuple[Panel, folds.Folds, tuple[str, ...]]:
    """The origins; a channel of a single series that begins after the first of them is left out, and named."""
    found = folds.make(panel, horizon)
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
    return panel, folds.make(panel, horizon), notes


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


def arguments(given: Options, metric: str, entrants: Sequence[Any], data: str) -> dict[str, Any]:
    from importlib.metadata import version

    table = dataclasses.asdict(given) | {"budget": given.budget_s, "metric": metric, "out": None, "data": data}
    files = [Path(e.id) for e in entrants if e.id.endswith(".py")]
    sources = {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    versions = {name: version(name) for name in ("sequary", "torch")}
    return table | {"candidates": [e.id for e in entrants], "files": sources, "versions": versions}


def _digest(panel: Panel) -> str:
    """Of all numbers and names that a panel holds."""
    found = hashlib.sha256(repr((panel.channels, panel.frequency, panel.past, panel.future, panel.static)).encode())
    for series in panel.series:
        found.update(series.id.encode())
        for array in (series.times, series.values, series.past, series.future, series.static):
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
