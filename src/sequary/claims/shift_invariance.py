"""Exact: no circular shift of an image changes what a classifier says of it; of one without anchors, shifts do.

Settings: `side` of the square images of noise, `images`, `shifts` (0 … shifts along each axis, all pairs), `dim`, `tolerance`; `baseline`,
the name of a recipe in the system's file. Random weights. Metric `logit_shift`: max|f(shifted x) − f(x)| / max(1, max|f(x)|), of the
worst shift for the system and of the mean one for the baseline. Exact part: the system's is at most `tolerance`. Noted beside: the share
of shifted images that keep their likeliest class.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

import torch

from sequary.claims.exact import distance, drawn, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.recipe import Recipe
from sequary.core.values import Batch


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    module = load(slug).module
    (ours, kept), (theirs, lost) = (
        moves(getattr(module, name), claim.settings, seed) for name in ("RECIPE", claim.settings["baseline"])
    )
    worst, broken = max(ours), ""
    if worst > claim.settings["tolerance"]:
        broken = f"a shift moves the logits by {worst:.1e}; {claim.settings['tolerance']:.0e} is asked for"
    return Trial(
        seed, worst, statistics.mean(theirs), broken=broken, also={"consistent": kept, "consistent_plain": lost}
    )


@torch.no_grad()
def moves(recipe: Recipe, settings: Mapping[str, Any], seed: int) -> tuple[list[float], float]:
    """(how far each shift moves the logits, the share of shifted images that keep their class)."""
    model = drawn(recipe.bind({"channels": 1, "classes": 10}).but(dim=settings["dim"]).build, seed)
    images = normal(settings["images"], 1, settings["side"], settings["side"], seed=seed)
    base = model.head(model(Batch(values=images)).hidden)
    found, kept = list[float](), list[float]()
    reach = range(settings["shifts"] + 1)
    for by in [(down, right) for down in reach for right in reach if down or right]:
        moved = model.head(model(Batch(values=images.roll(by, (2, 3)))).hidden)
        found.append(distance(moved, base))
        kept.append(float((moved.argmax(1) == base.argmax(1)).double().mean()))
    return found, statistics.mean(kept)
