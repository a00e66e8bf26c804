"""What claims on text share: Shakespeare's bytes, nine tenths to learn from and one to test on, training, bits per byte.

Settings: `train` (overrides of the recipes), `context` (bytes of a window), `grid` (overrides tried for each arm), `judged` (bytes of the
test part that are scored).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from sequary.claims.forecast_gain import shared
from sequary.core.card import Claim
from sequary.core.recipe import Recipe
from sequary.data.texts import read_text
from sequary.tasks.language.train import VOCABULARY, Bytes, Fitted, train
from sequary.tasks.training import Training, altered
from sequary.train.manifest import Chosen as Replayed

Chosen = dict[str, dict[str, Any]]


def shakespeare() -> tuple[Bytes, Bytes]:
    """The first nine tenths, the last tenth."""
    text = read_text(shared("shakespeare.txt"))
    cut = len(text) * 9 // 10
    return text[:cut], text[cut:]


def learnt(claim: Claim, recipe: Recipe, seed: int, settings: Mapping[str, Any] = {}) -> Fitted:
    """Trained on the first part, whose own last tenth is held out for choices. In float32: no clock decides."""
    changed = {**claim.settings["train"], **settings}
    own = altered(recipe, changed).stages[-1].train
    chosen = Replayed(precision="full", steps=own.steps, batch=own.batch)
    asked = Training(seed=seed, context=claim.settings["context"], settings=changed, chosen=chosen)
    return train(recipe, shakespeare()[0], asked)


def bits(claim: Claim, fitted: Fitted) -> float:
    """Per byte of the start of the test part."""
    known, test = shakespeare()
    return float(fitted.bits(test[: claim.settings["judged"]], after=known).mean())


def unigram(claim: Claim) -> float:
    """The same of a model that knows only how frequent each byte is: the floor."""
    known, test = shakespeare()
    counts = np.bincount(known, minlength=VOCABULARY) + 1.0
    return float(-np.log2(counts / counts.sum())[test[: claim.settings["judged"]]].mean())


def tuned(claim: Claim, arms: Mapping[str, Recipe]) -> Chosen:
    """For each arm the overrides of the grid with the least validation loss, with the first seed: equal tuning for all."""
    grid: Mapping[str, tuple[Any, ...]] = claim.settings["grid"]
    options = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if len(options) == 1:
        return dict.fromkeys(arms, options[0])
    best: Chosen = {}
    for name, recipe in arms.items():
        scores = [learnt(claim, recipe, 0, option).curve[-1][2] for option in options]
        losses = [float("inf") if score is None else score for score in scores]
        best[name] = options[losses.index(min(losses))]
    return best
