"""Detection: a recipe and a panel in, a fitted detector out that says of each step how abnormal it is. No label is needed."""

from __future__ import annotations

import dataclasses

import numpy as np

from sequary.core.recipe import Recipe
from sequary.data.panel import Floats, Panel
from sequary.data.scaling import Scaler
from sequary.data.windows import Bank, Ints
from sequary.objectives.degradation import Degradation
from sequary.tasks.detect.alarms import Bools, Threshold, distance
from sequary.tasks.detect.fitted import Fitted, scores
from sequary.tasks.forecast.holdout import held_out
from sequary.tasks.training import Training, filled, learn
from sequary.tasks.whole_windows import split, targets
from sequary.train.device import device as device_named


def refuses(recipe: Recipe) -> str | None:
    """Why a recipe does not detect; None where its only stage learns to tell made anomalies from data."""
    kinds = [type(stage.objective) for stage in recipe.stages]
    return None if kinds == [Degradation] else f"{recipe.model.name} does not learn scores of anomalies"


def default_context(panel: Panel) -> int:
    """Window where none is given: two seasons, 64 at least, 256 at most, and an eighth of the median series at most; a
    multiple of 8, so that patches divide it."""
    length = int(np.median([len(s) for s in panel.series]))
    return max(8, min(max(2 * panel.frequency.season, 64), 256, length // 8) // 8 * 8)


def prepare(recipe: Recipe, panel: Panel, *, context: int) -> Recipe:
    """The recipe with all that this panel knows filled in: context, channels, season."""
    known = {"context": context, "channels": len(panel.channels), "season": panel.frequency.season}
    return filled(recipe.bind(known), "these series")


def train(recipe: Recipe, panel: Panel, asked: Training) -> Fitted:
    """Fit on `panel`, most of which should be normal.

    The last fifth of each series, a window at least, is held out for early stopping and for the threshold; a series shorter
    than three windows is learnt from whole. Where no series is longer, or the last fifths are empty, the threshold comes from
    what was learnt from, which scores lower than new data.

    Raises:
        ValueError: no detector, a window below 2 steps, no window with two known cells.
    """
    reason = refuses(recipe)
    if reason is not None:
        raise ValueError(f"{reason}; choose a detector")
    panel, where = targets(panel), device_named(asked.device)
    look = asked.window(lambda: default_context(panel))
    if look < 2:
        raise ValueError(f"context={look}: a window of one step has no surroundings; give at least 2")
    bound = prepare(asked.at(recipe), panel, context=look)
    ends, judged = held_out(panel, look)
    scaler = Scaler.fit(panel.cut(ends.tolist()))
    source, validation = split(Bank.of(panel, scaler, before=look, after=look), ends, judged, look)
    trained, record = learn(bound, source, validation, asked)
    said = scores(trained.model, panel, scaler, look, where)
    return Fitted(
        recipe=bound,
        model=trained.model,
        scaler=scaler,
        threshold=Threshold.fit(unlearnt(said, ends, judged), distance(panel.frequency.season)),
        context=look,
        schema=dataclasses.replace(panel, series=()),
        record=record,
        device=str(where),
    )


def unlearnt(said: list[Floats], ends: Ints, judged: Bools) -> list[Floats]:
    """The scores of what was held out; all of them where nothing was, or nothing of it is known."""
    held = [score[end:] for score, end, use in zip(said, ends, judged, strict=True) if use]
    return held if any(np.isfinite(score).any() for score in held) else said
