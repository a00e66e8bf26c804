"""Tables with a column of labels: who finds the anomalies of the later part, having learnt from the earlier one, without labels.

There are two origins. Settings are chosen by what is found between the first and the second, having learnt from before the
first; the board is made of the rest, having learnt from before the second. Labels only judge: an event is found if one of its
rows is above the threshold, alarms elsewhere are false (`tasks.detect.judged`).

The leak probe changes everything after an origin, replays the training, and compares scores and threshold of what lies before;
then it changes the second half of the block and compares the scores of the first, up to the delay that the candidate states.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sequary.compare import footprint, leak, systems
from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome
from sequary.compare.board import Fold
from sequary.compare.candidates import plain
from sequary.compare.detectors import DetectorEntrant, Learned, ordinary
from sequary.compare.finding import latency, losses, moved
from sequary.compare.folds import Origin
from sequary.compare.footprint import Footprint
from sequary.compare.occasions import lay
from sequary.compare.options import BadArgument, Options, without_levels
from sequary.compare.prepare import Prepared, arguments
from sequary.compare.task import Task
from sequary.compare.words import Words
from sequary.core import catalogue
from sequary.core.values import Batch
from sequary.data import frames, tables
from sequary.data.panel import Panel
from sequary.data.roles import Columns
from sequary.tasks import saved
from sequary.tasks.detect import train as detecting
from sequary.tasks.detect.alarms import Bools, distance
from sequary.tasks.detect.labels import parted
from sequary.tasks.training import altered
from sequary.tasks.whole_windows import targets

WORDS = Words(one="512 rows", many="scorings", point="origin", head="last known", hidden="everything after an origin")

METRICS = ("event_error", "order_error")
DETECTORS = ("anomalybert",)
"""Who takes part when nobody is named."""


@dataclasses.dataclass(frozen=True, slots=True)
class DetectTask(Task):
    panel: Panel
    labels: tuple[Bools, ...]
    """[T] of each series."""
    origins: tuple[Origin, Origin]

    def block(self, role: str) -> tuple[Origin, tuple[int, ...]]:
        """The origin of a role, and where its block ends in each series."""
        choice, board = self.origins
        return (choice, board.rows) if role == "choice" else (board, tuple(len(s) for s in self.panel.series))

    def run(self, entrant: Any, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        origin, stops = self.block(role)
        learned: Learned = entrant.learn(self.panel, origin, ask)
        said = learned.scores(self.panel.cut(stops))
        found: dict[str, list[list[float]]] = {}
        for score, label, row, stop in zip(said, self.labels, origin.rows, stops, strict=True):
            for name, value in losses(score[row:], label[row:stop], learned, self.panel.frequency).items():
                found.setdefault(name, []).append([value])
        return Outcome(
            losses=found,
            params=learned.params,
            train_s=learned.train_s,
            latency_ms=1000 * latency(learned, self.panel),
            curve=learned.curve,
            fixed=learned.fixed,
        )

    def probe(self, entrant: Any, ask: Ask) -> list[float]:
        ask = leak.quick(entrant, ask)
        found: list[float] = []
        for role in ("choice", "board"):
            origin, stops = self.block(role)
            true: Learned = entrant.learn(self.panel, origin, ask)
            replayed: Learned = entrant.learn(leak.perturbed(self.panel, origin, seed=len(found)), origin, ask)
            before = self.panel.cut(origin.rows)
            learnt = moved(true.scores(before), replayed.scores(before), origin.rows)
            middle = tuple((row + stop + 1) // 2 for row, stop in zip(origin.rows, stops, strict=True))
            half = leak.perturbed(self.panel, dataclasses.replace(origin, rows=middle), seed=len(found))
            settled = [max(0, m - true.delay) for m in middle]
            ahead = moved(true.scores(self.panel.cut(stops)), true.scores(half.cut(stops)), settled)
            found.append(max(learnt, abs(true.threshold - replayed.threshold), ahead))
        return found

    def footprint(self, entrant: Any, ask: Ask) -> Footprint:
        recipe = catalogue.load(entrant.id).recipe
        assert recipe is not None
        context = int(ask.setting.get("context", detecting.default_context(self.panel)))
        bound = detecting.prepare(altered(recipe, plain(ask.setting)), self.panel, context=context)
        rng = torch.Generator().manual_seed(0)
        return footprint.of(
            bound, Batch(values=torch.randn(footprint.ROWS, context, len(self.panel.channels), generator=rng))
        )

    def rival_costs(self, entrant: Any, ask: Ask) -> dict[str, float]:
        learned = entrant.learn(self.panel, self.origins[0], ask)
        return {
            **entrant.costs(self.panel, self.origins[1], ask),
            "latency_ms": 1000 * latency(learned, self.panel),
        }

    def fitted_to(self, entrant: Any, seconds: float, costs: Mapping[str, float]) -> tuple[dict[str, Any], float]:
        return entrant.fitted_to(seconds, costs)

    def refit(self, entrant: Any, ask: Ask, folder: Path) -> None:
        saved.save(entrant.fit(self.panel, ask), folder)


def _metric(given: Options, columns: Columns, source: str) -> str:
    """What ranks; refuses what makes no sense of detectors."""
    if columns.label is None:
        raise BadArgument(
            f"{source}: detectors are judged by labels; name the column that is 1 at anomalies by --label"
        )
    if given.horizon is not None:
        raise BadArgument(f"horizon={given.horizon} says nothing to detectors; leave it out")
    metric = given.metric or METRICS[0]
    if metric not in METRICS:
        raise BadArgument(f"metric={metric!r}: boards of detectors rank by {', '.join(METRICS)}")
    return metric


def prepare(data: Any, given: Options, columns: Columns) -> Prepared:
    without_levels(given, "detectors")
    source = str(data) if isinstance(data, str | Path) else "dataframe"
    metric = _metric(given, columns, source)
    whole, understood = tables.understand(
        frames.read(data), source=source, columns=columns.labelled("past"), season=given.season
    )
    panel, labels = parted(whole, str(columns.label), source)
    laid = lay(targets(panel), labels, source)
    task = DetectTask(laid.panel, laid.labels, laid.origins)
    chosen = systems.select(given.systems, given.family, task="detect", default=DETECTORS)
    entrants = [*ordinary(task.panel), *(DetectorEntrant(id, title) for id, title in chosen)]
    notes = (*laid.notes, f"an alarm that goes on counts again every {distance(panel.frequency.season)} steps")
    facts = understood.as_dict()
    block = max(len(s) - row for s, row in zip(task.panel.series, task.origins[1].rows, strict=True))
    return Prepared(
        task=task,
        name="detect",
        options=given,
        metric=metric,
        ask=Ask(horizon=block),
        entrants=entrants,
        units=[s.id for s in task.panel.series] if len(task.panel.series) > 1 else ["all rows"],
        folds=[Fold(origin=o.time, role=o.role, horizon=block) for o in task.origins],
        data={
            **{key: facts[key] for key in ("file", "rows", "layout", "series", "frequency", "season", "gaps")},
            "target": list(panel.channels),
            "label": f"{columns.label}: {sum(int(one.sum()) for one in labels):,} rows",
            "notes": list(notes),
        },
        lines=(*understood.lines(), *notes),
        suspects=[],
        drawn=(),
        arguments=arguments(given, metric, entrants, _digest(task)),
    )


def _digest(task: DetectTask) -> str:
    found = hashlib.sha256(repr((task.panel.channels, task.panel.frequency)).encode())
    for series, label in zip(task.panel.series, task.labels, strict=True):
        found.update(series.id.encode() + series.times.tobytes() + np.ascontiguousarray(series.values).tobytes())
        found.update(label.tobytes())
    return found.hexdigest()
