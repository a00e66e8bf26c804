"""Template: a mixer without parameters tells a language model more than no mixer does; bits per byte of Shakespeare.

The system's recipe alternates two blocks, (attention, mixer). The twin has `Identity` in the mixer's place, and so exactly its
parameters; the bound has the attention of the first block there too, and more parameters: a number beside, "bound". Settings: those of
claims/text.py. The floor is the unigram model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sequary.claims.judging import Trial
from sequary.claims.text import Chosen, bits, learnt, tuned, unigram
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.mixers.identity import Identity


def arms(slug: str) -> dict[str, Recipe]:
    """ "system", "baseline" and "bound"."""
    recipe = load(slug).recipe
    assert recipe is not None
    attention = recipe.model.get("backbone").get("blocks")[0].get("parts")[0]
    place = "model__backbone__blocks__1__parts__0"
    return {
        "system": recipe,
        "baseline": recipe.but(**{place: part(Identity)}),
        "bound": recipe.but(**{place: attention}),
    }


def tune(slug: str, claim: Claim) -> Chosen:
    return tuned(claim, arms(slug))


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    found = {name: bits(claim, learnt(claim, recipe, seed, chosen[name])) for name, recipe in arms(slug).items()}
    return Trial(seed, found["system"], found["baseline"], unigram(claim), also={"bound": found["bound"]})
