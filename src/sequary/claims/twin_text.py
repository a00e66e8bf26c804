"""Template: a language model says a text in fewer bits than its twin with another block at equal parameters, steps and tuning.

Bits per byte of Shakespeare. System: the recipe; baseline: the variant or system that `against` names. Settings: those of
claims/text.py; `baseline`: overrides that level its size; `beside`: further variants, whose bits are noted by their names. `apart`: by
what share the sizes of system and baseline may differ (0.02 unless given). The floor is the unigram model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sequary.claims.judging import Trial
from sequary.claims.text import Chosen, bits, learnt, tuned, unigram
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.recipe import Recipe
from sequary.tasks.language.train import VOCABULARY


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    """ "system", "baseline", and the variants beside by their names."""
    names = {"system": slug, "baseline": claim.against or "", **{n: n for n in claim.settings.get("beside", ())}}
    found: dict[str, Recipe] = {}
    for arm, name in names.items():
        recipe = load(name).recipe
        assert recipe is not None
        found[arm] = recipe.but(**claim.settings.get(arm, {}))
    system, baseline = (size(found[arm].but(**claim.settings["train"])) for arm in ("system", "baseline"))
    if abs(system - baseline) > claim.settings.get("apart", 0.02) * baseline:
        raise ValueError(
            f"{slug} has {system} parameters and {claim.against} {baseline}: give them widths of equal sizes"
        )
    return found


def size(recipe: Recipe) -> int:
    return sum(p.numel() for p in recipe.bind({"vocab": VOCABULARY}).build().parameters())


def tune(slug: str, claim: Claim) -> Chosen:
    return tuned(claim, arms(slug, claim))


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    found = {name: bits(claim, learnt(claim, recipe, seed, chosen[name])) for name, recipe in arms(slug, claim).items()}
    also = {name: value for name, value in found.items() if name not in ("system", "baseline")}
    return Trial(seed, found["system"], found["baseline"], unigram(claim), also=also)
