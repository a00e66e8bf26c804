"""Template: an annealed order of training gives the least raster-order loss on held-out images.

One tokenizer (trained once), one prior, three orders in training: `annealed` (the system's own), `raster` from the first step, `random`
throughout. Same steps, `rows` images learnt from; learning rate chosen for each arm by validation; of each run the weights that are
best on the first half of the held-out images stay, so that an arm which overfits is judged at its best. Metric `nats`: −log p(code |
codes before it in raster order, class), a code, on the other half. Baseline: the better of raster and random. Floor: the
codes' own frequencies.
Settings: `system` (overrides of the recipe), `rows`, `rates`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.digits import prior_stage, ready, recipe_of
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.objectives.image_tokens import PermutedTokens
from sequary.orders.permuted import Permuted
from sequary.tasks.image_tokens import TokenRows
from sequary.train.evaluation import evaluate
from sequary.train.loop import fit

ORDERS = {"raster": Permuted(0.0, 0.0), "random": Permuted(2.0, 2.0)}
"""Beside the system's own; training never gets to 2."""
RASTER = ORDERS["raster"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows `start` to `stop` of `tokens`."""

    tokens: TokenRows
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def batch(self, rows: Tensor) -> Batch:
        return self.tokens.batch(rows + self.start)


@dataclasses.dataclass(frozen=True, slots=True)
class RasterJudged:
    """Learns by `inner`; validation, which asks for progress 1, is by raster order whatever the order of training."""

    inner: PermutedTokens

    def at(self, progress: float) -> PermutedTokens:
        return dataclasses.replace(self.inner, order=RASTER) if progress == 1.0 else self.inner.at(progress)

    def __call__(self, model: Any, batch: Batch, rng: torch.Generator) -> Any:
        return self.inner(model, batch, rng)


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    own = recipe_of(slug, claim.settings["system"])
    return {"system": own} | {name: own.but(stages__1__objective__order=order) for name, order in ORDERS.items()}


def nats(recipe: Recipe, settings: Mapping[str, Any], rate: float, seed: int) -> tuple[float, float]:
    """Of one run: (on the half that chose its weights, on the other)."""
    model, learnt, held = ready(recipe, seed)
    half = len(held) // 2
    chooses, judges = Part(held, 0, half), Part(held, half, len(held))
    objective = recipe.stages[1].objective
    assert isinstance(objective, PermutedTokens)
    stage = prior_stage(recipe, lr=rate, patience=10**6)
    stage = dataclasses.replace(stage, objective=RasterJudged(objective))
    fit(model, stage, Part(learnt, 0, settings["rows"]), chooses, seed=seed, progress=False)
    said = dataclasses.replace(objective, order=RASTER, drop=0.0)
    one, two = (evaluate(model, said, part, batch=250, seed=seed) for part in (chooses, judges))
    return one, two


def frequencies(recipe: Recipe, settings: Mapping[str, Any], seed: int) -> float:
    """Nats of the held-out codes under the counts (one more each) of those learnt from."""
    _, learnt, held = ready(recipe, seed)
    vocab = recipe.model.get("tokenizer").get("vocab")
    counts = torch.bincount(learnt.tokens[: settings["rows"]].flatten(), minlength=vocab).double() + 1
    half = held.tokens[len(held) // 2 :]
    return float(-(counts / counts.sum()).log()[half].mean())


def tune(slug: str, claim: Claim) -> dict[str, float]:
    """The learning rate of each arm."""
    rates: tuple[float, ...] = claim.settings["rates"]
    best: dict[str, float] = {}
    for name, recipe in arms(slug, claim).items():
        scores = {r: nats(recipe, claim.settings, r, 0)[0] if len(rates) > 1 else math.nan for r in rates}
        best[name] = min(scores, key=lambda r, s=scores: s[r])
    return best


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, float]) -> Trial:
    recipes = arms(slug, claim)
    found = {name: nats(recipe, claim.settings, chosen[name], seed)[1] for name, recipe in recipes.items()}
    system = found.pop("system")
    floor = frequencies(recipes["system"], claim.settings, seed)
    return Trial(seed, system, min(found.values()), floor, also=found)
