"""Template: fewer bits per byte of Shakespeare than a baseline that learns as many steps on the same text, or no more of them.

Settings: those of claims/text.py; `system` and `baseline`, overrides of each (those of `baseline` level the parameters). The floor is the
unigram model. The parameters of both are noted beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sequary.claims.judging import Trial
from sequary.claims.text import Chosen, bits, learnt, tuned, unigram
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.recipe import Recipe


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    """ "system" and "baseline", which may be a variant of the system."""
    system, baseline = load(slug).recipe, load(claim.against or "").recipe
    assert system is not None
    assert baseline is not None
    settings = claim.settings
    return {
        "system": system.but(**settings.get("system", {})),
        "baseline": baseline.but(**settings.get("baseline", {})),
    }


def tune(slug: str, claim: Claim) -> Chosen:
    return tuned(claim, arms(slug, claim))


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    fitted = {name: learnt(claim, recipe, seed, chosen[name]) for name, recipe in arms(slug, claim).items()}
    found = {name: bits(claim, f) for name, f in fitted.items()}
    also = {f"{name}_parameters": float(sum(p.numel() for p in f.model.parameters())) for name, f in fitted.items()}
    return Trial(seed, found["system"], found["baseline"], unigram(claim), also=also)
