"""Forecasting: a recipe and a panel in, a fitted forecaster out that says what comes after the end of any panel like it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sequary.core.contracts import Forecasts
from sequary.core.ctx import Ctx
from sequary.core.place import Place
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.data.panel import Panel
from sequary.data.scaling import Scaler
from sequary.data.windows import Bank
from sequary.tasks.forecast.calibration import calibrated, difficulties, has_quantiles
from sequary.tasks.forecast.fitted import Fitted
from sequary.tasks.forecast.holdout import held_out, split
from sequary.tasks.training import Training, filled, learn, needs
from sequary.train.device import device as device_named


def default_context(panel: Panel, horizon: int) -> int:
    """Look-back where none is given: two seasons or three horizons, whichever is longer; 16 at least, 512 at most.

    Never more than half of what the median series has before its last two horizons, so that windows differ.
    """
    length = int(np.median([len(s) for s in panel.series]))
    return min(max(2 * panel.frequency.season, 3 * horizon, 16), 512, max(1, (length - 2 * horizon) // 2))


def probabilities(shares: Sequence[float]) -> tuple[float, ...]:
    """The quantiles that bound the central intervals of these shares, and the median: (0.8,) -> (0.1, 0.5, 0.9)."""
    bad = [c for c in shares if not 0 < c < 1]
    if bad:
        raise ValueError(f"levels={bad} are no shares of an interval; use numbers between 0 and 1, such as 0.8")
    return tuple(sorted({0.5, *(round((1 + sign * c) / 2, 12) for c in shares for sign in (-1, 1))}))


def prepare(
    recipe: Recipe, panel: Panel, *, context: int, horizon: int, levels: Sequence[float] = (0.8, 0.95)
) -> Recipe:
    """The recipe with all that this panel knows filled in.

    context, horizon, season; channels, past, future, static: numbers of columns, covariates: of the last three together;
    cardinalities: for each static, past and future column in turn 0 for numbers, else its categories and one more for unseen
    ones; levels: probabilities of the quantiles; tokens or patches: how many tokens a channel becomes. A model that ignores
    covariates asks for none.
    """
    names = panel.static + panel.past + panel.future
    sizes = {name: len(panel.categories[name]) + 1 for name in panel.categories}
    spec: dict[str, Any] = {
        "context": context,
        "horizon": horizon,
        "season": panel.frequency.season,
        "channels": len(panel.channels),
        "past": len(panel.past),
        "future": len(panel.future),
        "static": len(panel.static),
        "covariates": len(names),
        "cardinalities": tuple(sizes.get(name, 0) for name in names),
        "levels": probabilities(levels),
    }
    bound = recipe.bind(spec)
    if needs(bound) & {"tokens", "patches"}:
        count = _tokens(bound, context, len(panel.channels))
        bound = bound.bind({"tokens": count, "patches": count})
    return filled(bound, "these series")


def _tokens(recipe: Recipe, context: int, channels: int) -> int:
    """Tokens of one channel, by making them of an empty window."""
    with torch.device("meta"):
        tokens = recipe.model.get("tokens").build(Place(recipe.dim))
        batch = Batch(values=torch.zeros(1, context, channels))
        return tokens.unfold(tokens.fold(batch.values, batch, Ctx())[0], batch).shape[2]


def train(
    recipe: Recipe,
    panel: Panel,
    asked: Training,
    *,
    horizon: int,
    levels: Sequence[float] = (0.8, 0.95),
) -> Fitted:
    """Fit on `panel`, which ends where knowledge ends: nothing else is looked at.

    Longer than 40 lines because it is the list of steps of the whole task, each a call.

    The last fifth of each series, a horizon at least, is held out for early stopping and for conformal residuals; the
    scale comes from what is before it. A series shorter than three horizons is learnt from whole.

    `levels` are shares of the central intervals, 0.8 for 80 %; the context is the look-back.

    Raises:
        ValueError: horizon or context below 1, no window fits, the recipe needs more than a panel tells.
    """
    reason = refuses(recipe)
    if reason is not None:
        raise ValueError(f"{reason}; choose a forecaster")
    where = device_named(asked.device)
    look = asked.window(lambda: default_context(panel, horizon))
    if horizon < 1 or look < 1:
        raise ValueError(f"horizon={horizon}, context={look}: both must be at least 1")
    bound = prepare(asked.at(recipe), panel, context=look, horizon=horizon, levels=levels)
    ends, judged = held_out(panel, horizon)
    known = panel.cut(ends.tolist())
    scaler = Scaler.fit(known)
    difficulty = difficulties(known, scaler)
    bank = Bank.of(panel, scaler, before=look, after=horizon)
    source, validation = split(bank, ends, judged, look, horizon)
    trained, record = learn(bound, source, validation, asked)
    assert isinstance(trained.model, Forecasts)
    return Fitted(
        recipe=bound,
        model=trained.model,
        scaler=scaler,
        conformal=calibrated(trained.model, panel, scaler, difficulty, validation, horizon, where),
        difficulty=difficulty,
        native=has_quantiles(trained.model, source, probabilities(levels), where),
        context=look,
        horizon=horizon,
        levels=tuple(levels),
        schema=dataclasses.replace(panel, series=()),
        ranges=ranges(panel),
        record=record,
        device=str(where),
    )


def refuses(recipe: Recipe) -> str | None:
    """Why a recipe does not forecast; None where its model is a forecaster."""
    made = recipe.model.cls
    return None if isinstance(made, type) and issubclass(made, Forecasts) else f"{recipe.model.name} does not forecast"


def ranges(panel: Panel) -> dict[str, tuple[float, float, float]]:
    """Least and greatest value, and share of missing ones, of each target and each covariate that is a number."""
    kinds = [
        (panel.channels, [s.values for s in panel.series]),
        (panel.past, [s.past for s in panel.series]),
        (panel.future, [s.future[: len(s)] for s in panel.series]),
        (panel.static, [s.static[None] for s in panel.series]),
    ]
    found: dict[str, tuple[float, float, float]] = {}
    for names, rows in kinds:
        for name, column in zip(names, np.concatenate(rows).T, strict=True):
            known = column[np.isfinite(column)]
            if name not in panel.categories and len(known):
                found[name] = (float(known.min()), float(known.max()), 1 - len(known) / len(column))
    return found
