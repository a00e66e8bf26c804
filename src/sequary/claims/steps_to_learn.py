"""Template: of two image classifiers of one size, trained alike, the system needs fewer steps until it tells held-out images.

For tasks that are learnt all at once, where accuracy after a number of steps says only which side of that moment it lies on. Settings:
those of claims/image_classes.py; `until`, the loss on `choose` images, in nats, that must be reached. Learning rates are chosen for each
arm by the same number, with the first seed. Metric `steps`: at the first evaluation at which it is (`evaluate_every` apart), one more than
all where it never is. No floor: so few steps flatter an arm that does not learn, and where that is the system it does not gain.
"""

from __future__ import annotations

from collections.abc import Mapping

from sequary.claims.digits import built
from sequary.claims.image_classes import arms, parts
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.recipe import Recipe
from sequary.train.loop import fit
from sequary.train.manifest import Chosen


def needed(claim: Claim, recipe: Recipe, rate: float, seed: int) -> tuple[int, int]:
    """(steps until the loss is reached, or one more than all; parameters)."""
    learnt, choose, _ = parts(claim.settings, seed)
    recipe = recipe.but(stages__0__train__lr=rate)
    own = recipe.stages[0].train
    chosen = Chosen(precision="full", steps=own.steps, batch=own.batch)
    trained = fit(built(recipe, seed), recipe.stages[0], learnt, choose, seed=seed, progress=False, chosen=chosen)
    reached = (step for step, _, loss in trained.curve if loss is not None and loss <= claim.settings["until"])
    return next(reached, own.steps + 1), sum(p.numel() for p in trained.model.parameters())


def tune(slug: str, claim: Claim) -> dict[str, float]:
    rates: tuple[float, ...] = claim.settings["grid"]
    return {
        name: min(rates, key=lambda rate: needed(claim, recipe, rate, 0)[0])
        for name, recipe in arms(slug, claim).items()
    }


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, float]) -> Trial:
    found = {name: needed(claim, recipe, chosen[name], seed) for name, recipe in arms(slug, claim).items()}
    (system, size), (baseline, other) = found["system"], found["baseline"]
    broken = "" if abs(size - other) <= 0.05 * other else f"{size} and {other} parameters: at most 5 % apart is fair"
    also = {"parameters_system": float(size), "parameters_baseline": float(other)}
    return Trial(seed, float(system), float(baseline), broken=broken, also=also)
