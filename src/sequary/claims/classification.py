"""Template: what fills in masked spans of a few labelled series first tells classes more accurately than what does not.

Spoken digits, log mel bands. A seed draws `labels` recordings, as many of each class, to learn from, `validation` to tune on and `test`
to be told; both stages see the first alone. Arms, all from the same weights: the system; `baseline`, the same without its first
stage, as many supervised steps; `longer`, without it and with the steps of both stages, supervised. The baseline of the trial is the
better of the two. `single` has independent masks of single entries in its first stage: that they are easier to fill in (`loss_single`
below `loss_spans`, mean squared error where masked) and teach less is noted beside, and the verdict does not depend on it.

Settings: these counts; `context` (windows); `steps` (of each stage); `train` (overrides of the recipe); `grid` (learning rates of the last
stage, chosen for each arm on validation, by the first seed). The floor guesses.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from sequary.claims.forecast_gain import shared
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model, Objective
from sequary.core.recipe import Recipe
from sequary.data.roles import Columns
from sequary.objectives.masked_values import MaskedValues
from sequary.tasks.classify.fitted import logits
from sequary.tasks.classify.labelled import Labelled
from sequary.tasks.classify.reading import read
from sequary.tasks.classify.rows import Rows, scale
from sequary.tasks.classify.train import prepare
from sequary.tasks.training import Training, learn
from sequary.train.learning import evaluating
from sequary.train.seeds import generator
from sequary.train.source import Source

CPU = torch.device("cpu")


@functools.cache
def digits() -> Labelled:
    return read(str(shared("spoken_digits.npz")), Columns())[0]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Parts:
    learnt: Rows
    validation: Rows
    test: Rows


def parts(settings: Mapping[str, Any], seed: int) -> Parts:
    """Scaled by what is learnt from."""
    data, rng = digits(), np.random.default_rng(seed)
    each, classes = settings["labels"] // len(data.classes), range(len(data.classes))
    first = [rng.permutation(np.flatnonzero(data.labels == k))[:each] for k in classes]
    order = rng.permutation(np.setdiff1d(np.arange(len(data)), np.concatenate(first)))
    cuts = settings["validation"], settings["validation"] + settings["test"]
    groups = (np.concatenate(first), *np.split(order, cuts)[:2])
    found = [data.take(np.isin(np.arange(len(data)), rows)) for rows in groups]
    pair = scale(found[0])
    return Parts(*(Rows.of(part, pair, settings["context"]) for part in found))


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    """Bound to the data."""
    recipe = load(slug).recipe
    assert recipe is not None
    steps = {f"stages__{i}__train__steps": count for i, count in enumerate(claim.settings["steps"])}
    changed = recipe.but(**steps, **claim.settings.get("train", {}))
    whole = prepare(changed, digits(), context=claim.settings["context"])
    first, last = whole.stages
    assert isinstance(first.objective, MaskedValues)
    both = first.train.steps + last.train.steps
    alone = whole.but(stages=(last,))
    return {
        "system": whole,
        "baseline": alone,
        "longer": alone.but(stages__0__train__steps=both),
        "single": whole.but(stages__0__objective__span=1 / (1 - first.objective.rate)),
    }


def trained(recipe: Recipe, data: Parts, rate: float, seed: int) -> tuple[Model, float]:
    """And the loss of its first stage on the series that are to be told; NaN without one."""
    last, filled = len(recipe.stages) - 1, [float("nan")]

    def between(model: Model, source: Source, validation: Source | None) -> tuple[Source, Source | None]:
        filled.append(masked(model, recipe.stages[0].objective, data.test))
        return source, validation

    made, _ = learn(
        recipe.but(**{f"stages__{last}__train__lr": rate}),
        data.learnt,
        None,
        Training(seed=seed),
        between=between,
    )
    return made.model, filled[-1]


@torch.no_grad()
def masked(model: Model, objective: Objective, rows: Rows) -> float:
    with evaluating(model):
        return float(objective(model, rows.batch(torch.arange(len(rows))), generator(CPU, 0, "masks")).value)


def accuracy(model: Model, rows: Rows) -> float:
    return float((logits(model, rows, CPU).argmax(1) == rows.target.numpy()).mean())


def tune(slug: str, claim: Claim) -> dict[str, float]:
    """The learning rate of each arm."""
    rates: tuple[float, ...] = claim.settings["grid"]
    data, found = parts(claim.settings, 0), arms(slug, claim)
    if len(rates) == 1:
        return dict.fromkeys(found, rates[0])

    def right(recipe: Recipe, rate: float) -> float:
        return accuracy(trained(recipe, data, rate, 0)[0], data.validation)

    return {name: max(rates, key=functools.partial(right, recipe)) for name, recipe in found.items()}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, float]) -> Trial:
    data, right, filled = parts(claim.settings, seed), dict[str, float](), dict[str, float]()
    for name, recipe in arms(slug, claim).items():
        model, filled[name] = trained(recipe, data, chosen[name], seed)
        right[name] = accuracy(model, data.test)
    also = {name: right[name] for name in ("baseline", "longer", "single")}
    also |= {"loss_spans": filled["system"], "loss_single": filled["single"]}
    floor = 1 / len(digits().classes)
    return Trial(seed, right["system"], max(right["baseline"], right["longer"]), floor, also=also)
