"""Labelled series: each is held out once, and told by who learnt from others. Floors are the majority, a neighbour, a linear model.

Series have no order, so folds take the place of origins, as many to choose settings as for the board. A third of the series are
*choice* folds: a model for choosing learns from the other choice folds alone. The rest are *board* folds, each told by a model
that learnt from all series but its own. Where series belong to groups (speakers), a group lies in one fold, so that nobody is told
who was learnt from; else each fold has its share of every class.

The leak probe changes values and class of every series that may not be learnt from, replays the learning, and compares the
probabilities of the true ones: not one may move.
"""

from __future__ import annotations

import dataclasses
import hashlib
import statistics
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from sklearn.metrics import f1_score

from sequary.compare import leak, systems
from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome
from sequary.compare.board import Fold
from sequary.compare.candidates import plain
from sequary.compare.class_folds import FOLDS, copies, lay, other
from sequary.compare.classifiers import Classifier, ClassifierEntrant, ordinary
from sequary.compare.footprint import ROWS, Footprint, of
from sequary.compare.options import BadArgument, Options, without_levels
from sequary.compare.prepare import Prepared, arguments
from sequary.compare.task import Task
from sequary.compare.words import Words
from sequary.core.values import Batch
from sequary.data.errors import DataError
from sequary.data.panel import Floats
from sequary.data.roles import Columns
from sequary.tasks import saved
from sequary.tasks.classify import train as classifying
from sequary.tasks.classify.labelled import Bools, Ints, Labelled
from sequary.tasks.classify.reading import read
from sequary.tasks.training import altered

WORDS = Words(
    one="series",
    many="labellings",
    point="fold",
    head="fold",
    hidden="values and class of every series that a fold may not learn from",
)

METRICS = ("error", "log_loss", "f1_error")
CLASSIFIERS = ("tst-mvts",)
"""Who takes part when nobody is named."""
LEAST = 6 * FOLDS
"""Series of a comparison."""
REPEATS = 5
SURE = 1e-15
"""The least probability that log loss counts."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ClassifyTask(Task):
    data: Labelled
    folds: Ints
    """[N] fold of each series: the first half of the folds choose, the others make the board."""

    @property
    def count(self) -> int:
        """Folds of a role."""
        return (int(self.folds.max()) + 1) // 2

    def of(self, role: str) -> range:
        return range(self.count) if role == "choice" else range(self.count, 2 * self.count)

    def learnt(self, fold: int) -> Bools:
        """[N] the series that who tells this fold may learn from."""
        return (self.folds != fold) & ((self.folds < self.count) | (fold >= self.count))

    def run(self, entrant: Any, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        made, rows = list[Classifier](), list[tuple[float, float, float]]()
        for fold in self.of(role):
            fixed = made[0].fixed if made else {}
            made.append(entrant.learn(self.data, self.learnt(fold), ask.but(setting={**ask.setting, **fixed})))
            held = self.data.take(self.folds == fold)
            rows.append(scored(made[-1].proba(held.bare()), held.labels))
        one = self.data.take(np.arange(len(self.data)) == 0).bare()
        return Outcome(
            losses={name: [list(column)] for name, column in zip(METRICS, zip(*rows, strict=True), strict=True)},
            params=made[0].params,
            train_s=sum(each.train_s for each in made),
            latency_ms=1000 * latency(made[-1], one),
            curve=made[0].curve,
            fixed=made[0].fixed,
        )

    def probe(self, entrant: Any, ask: Ask) -> list[float]:
        ask, found = leak.quick(entrant, ask), list[float]()
        for fold in (*self.of("choice"), *self.of("board")):
            learnt, held = self.learnt(fold), self.data.take(self.folds == fold).bare()
            pair = [entrant.learn(data, learnt, ask) for data in (self.data, other(self.data, learnt, seed=fold))]
            one, two = (each.proba(held) for each in pair)
            moved = np.abs(one - two).max()
            found.append(float("inf") if np.isnan(moved) else float(moved))
        return found

    def footprint(self, entrant: Any, ask: Ask) -> Footprint:
        context = int(ask.setting.get("context", classifying.default_context(self.data)))
        recipe = altered(entrant.recipe, plain(ask.setting))
        bound = classifying.prepare(recipe, self.data, context=context)
        width = len(self.data.form.channels)
        values = torch.randn(ROWS, context, width, generator=torch.Generator().manual_seed(0))
        return of(bound, Batch(values=values, target=torch.zeros(ROWS, dtype=torch.long)))

    def refit(self, entrant: Any, ask: Ask, folder: Path) -> None:
        saved.save(entrant.fit(self.data, ask), folder)


def scored(p_NK: Floats, labels_N: Ints) -> tuple[float, float, float]:
    """Share told wrong, mean of −ln p(true class), 1 − mean over classes of F1; infinite where a probability is none."""
    if not np.isfinite(p_NK).all():
        return float("inf"), float("inf"), float("inf")
    said = p_NK.argmax(1)
    log_loss = -np.log(np.maximum(p_NK[np.arange(len(labels_N)), labels_N], SURE)).mean()
    macro: Any = f1_score(labels_N, said, average="macro", zero_division=0)  # pyright: ignore[reportArgumentType]  # takes 0
    return float((said != labels_N).mean()), float(log_loss), 1 - float(macro)


def latency(learned: Classifier, one: Labelled) -> float:
    """Seconds of one series: the median of a few, after one."""
    times: list[float] = []
    for _ in range(REPEATS + 1):
        began = perf_counter()
        learned.proba(one)
        times.append(perf_counter() - began)
        if len(times) > 1 and sum(times[1:]) > 1:
            break
    return statistics.median(times[1:])


def prepare(data: Any, given: Options, columns: Columns) -> Prepared:
    without_levels(given, "classifiers")
    source = str(data) if isinstance(data, str | Path) else "dataframe"
    if given.horizon is not None or given.season is not None:
        raise BadArgument("horizon and season say nothing to classifiers; leave them out")
    metric = given.metric or "error"
    if metric not in METRICS:
        raise BadArgument(f"metric={metric!r}: boards of classifiers rank by {', '.join(METRICS)}")
    labelled, lines = read(data, columns)
    if len(labelled) < LEAST:
        what = f"{len(labelled)} series with a class, {LEAST} are needed to learn from some and be judged on others"
        raise DataError(what, file=source, mend="give more")
    folds, rule = lay(labelled)
    task = ClassifyTask(labelled, folds)
    chosen = systems.select(given.systems, given.family, task="classify", default=CLASSIFIERS)
    entrants = [*ordinary(), *(ClassifierEntrant(id, title) for id, title in chosen)]
    notes = [line.removeprefix("note: ") for line in lines if line.startswith("note: ")]
    sizes = np.bincount(folds)
    return Prepared(
        task=task,
        name="classify",
        options=given,
        metric=metric,
        ask=Ask(horizon=1),
        entrants=entrants,
        units=["series"],
        folds=[
            Fold(origin=str(k + 1), role="choice" if k < task.count else "board", horizon=int(size))
            for k, size in enumerate(sizes)
        ],
        data={"file": source, **_facts(labelled), "notes": [rule, *notes]},
        lines=(*lines, f"folds: {rule}"),
        suspects=copies(labelled),
        drawn=(),
        arguments=arguments(given, metric, entrants, _digest(labelled)),
    )


def _facts(data: Labelled) -> dict[str, Any]:
    return {
        "series": len(data),
        "steps": f"{data.lengths.min()} to {data.lengths.max()}",
        "channels": len(data.form.channels),
        "classes": list(data.classes),
        "groups": sorted(set(data.groups)),
    }


def _digest(data: Labelled) -> str:
    found = hashlib.sha256(repr((data.classes, data.form, data.groups, data.ids)).encode() + data.labels.tobytes())
    for series in data.values:
        found.update(np.ascontiguousarray(series).tobytes())
    return found.hexdigest()
