"""Classification: a recipe and labelled series in, a fitted classifier out that says how probable each class is."""

from __future__ import annotations

from typing import Any

import numpy as np

from sequary.core.part import Part
from sequary.core.recipe import Recipe
from sequary.heads.categorical import Categorical
from sequary.heads.pooled import FirstTokenClass
from sequary.objectives.classify import ClassLoss
from sequary.tasks.classify.fitted import Fitted, calibrated, logits, softmax
from sequary.tasks.classify.labelled import Bools, Labelled
from sequary.tasks.classify.rows import Rows, scale
from sequary.tasks.task import Tell
from sequary.tasks.training import Training, filled, learn
from sequary.tokens.series import SeriesTokens
from sequary.train.device import device as device_named

SHARE = 0.2
"""Of the series, held out for early stopping and for the temperature."""
LEAST = 8
"""Series below which that part would say nothing: then all are learnt from."""
GROUPS = 4
"""From so many groups on, whole ones are held out."""
LONGEST = 256
"""Steps of a series that are looked at one by one."""


def refuses(recipe: Recipe) -> str | None:
    """Why a recipe does not classify series; None where its last stage learns classes, from tokens of series."""
    name, tokens = recipe.model.name, recipe.model.get("tokens")
    if not recipe.stages or not isinstance(recipe.stages[-1].objective, ClassLoss):
        return f"{name} does not learn to classify"
    if not isinstance(tokens, Part) or not _is(tokens, SeriesTokens):
        return f"{name} classifies something else than series"
    head = recipe.model.get("head")
    while isinstance(head, Part) and isinstance(head.get("head"), Part):
        head = head.get("head")
    if not isinstance(head, Part) or not _is(head, Categorical, FirstTokenClass):
        return f"{name} has a head that tells no classes"
    return None


def _is(part: Part[Any], *kinds: type) -> bool:
    return isinstance(part.cls, type) and issubclass(part.cls, kinds)


def default_context(data: Labelled) -> int:
    """Steps where none are given: as many as 98 of 100 series have at most, 256 at most."""
    return int(min(LONGEST, max(2, np.quantile(data.lengths, 0.98, method="higher"))))


def prepare(recipe: Recipe, data: Labelled, *, context: int) -> Recipe:
    """The recipe with all that these series know filled in: context, channels, classes."""
    known = {"context": context, "channels": len(data.form.channels), "classes": len(data.classes)}
    return filled(recipe.bind(known), "labelled series")


def held_out(data: Labelled) -> Bools:
    """[N] which series are not learnt from: whole groups where there are several, else a fifth of each class, drawn.

    None where fewer than `LEAST` would be.
    """
    rng, held = np.random.default_rng(0), np.zeros(len(data), np.bool_)
    names = np.array(data.groups)
    if len(set(data.groups)) >= GROUPS:
        for name in rng.permutation(np.unique(names)):
            own = names == name
            if not held.any() or held.sum() + own.sum() / 2 <= SHARE * len(data):
                held |= own
    else:
        for label in range(len(data.classes)):
            rows = rng.permutation(np.flatnonzero(data.labels == label))
            held[rows[: round(SHARE * len(rows))]] = True
    return held if held.sum() >= LEAST and (~held).sum() >= held.sum() else np.zeros_like(held)


def train(
    recipe: Recipe,
    data: Labelled,
    asked: Training,
    *,
    tell: Tell = lambda line: None,
) -> Fitted:
    """Fit on labelled series; every stage learns from the same. `tell` is given a line about the series that were held out.

    Longer than 40 lines because it is the list of steps of the whole task, each a call.

    Raises:
        ValueError: no classifier of series, or a context below 2 steps.
    """
    reason = refuses(recipe)
    if reason is not None:
        raise ValueError(f"{reason}; choose a classifier of series, such as tst-mvts")
    where = device_named(asked.device)
    held = held_out(data)
    learnt, judged = data.take(~held), data.take(held)
    look = asked.window(lambda: default_context(learnt))
    if look < 2:
        raise ValueError(f"context={look}: one step has no order; give at least 2")
    bound = prepare(asked.at(recipe), data, context=look)
    pair = scale(learnt)
    validation = Rows.of(judged, pair, look) if len(judged) else None
    trained, record = learn(bound, Rows.of(learnt, pair, look), validation, asked)
    temperature = 1.0
    if validation is not None:
        said = logits(trained.model, validation, where)
        temperature = calibrated(said, judged.labels)
        tell(_words(judged, softmax(said, temperature).argmax(1) != judged.labels, temperature))
    return Fitted(
        recipe=bound,
        model=trained.model,
        context=look,
        record=record,
        device=str(where),
        classes=data.classes,
        scale=pair,
        temperature=temperature,
        form=data.form,
    )


def _words(judged: Labelled, wrong: Bools, temperature: float) -> str:
    whose = f" ({', '.join(sorted(set(judged.groups)))})" if judged.groups and len(set(judged.groups)) < GROUPS else ""
    return (
        f"held out: {len(judged):,} series{whose} chose when to stop and the temperature {temperature:.2f}; "
        f"{100 * wrong.mean():.1f} % of them are told wrong"
    )
