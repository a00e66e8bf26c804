"""Template: a classifier of series is as accurate as its twin with another mixer, or more so, at equal parameters and steps.

Spoken digits, log mel bands, and the settings of claims/early_answer.py without `share`. System: the recipe; baseline: the variant that
`against` names, of the same number of parameters to 2 %. The floor guesses.
"""

from __future__ import annotations

from collections.abc import Mapping

from sequary.claims.classification import accuracy, digits, parts
from sequary.claims.early_answer import arm, learnt
from sequary.claims.judging import Trial
from sequary.core.card import Claim

APART = 0.02


def names(slug: str, claim: Claim) -> dict[str, str]:
    """ "system" and "baseline"."""
    found = {"system": slug, "baseline": claim.against or ""}
    sizes = {n: sum(p.numel() for p in arm(s, claim).build().parameters()) for n, s in found.items()}
    if abs(sizes["system"] - sizes["baseline"]) > APART * sizes["baseline"]:
        raise ValueError(f"{slug} has {sizes['system']} parameters and {claim.against} {sizes['baseline']}: level them")
    return found


def tune(slug: str, claim: Claim) -> dict[str, float]:
    rates: tuple[float, ...] = claim.settings["grid"]
    arms = names(slug, claim)
    if len(rates) == 1:
        return dict.fromkeys(arms, rates[0])
    data = parts(claim.settings, 0)
    return {
        name: max(rates, key=lambda rate, s=s: accuracy(learnt(s, claim, data, rate, 0), data.validation))
        for name, s in arms.items()
    }


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, float]) -> Trial:
    data = parts(claim.settings, seed)
    right = {n: accuracy(learnt(s, claim, data, chosen[n], seed), data.test) for n, s in names(slug, claim).items()}
    return Trial(seed, right["system"], right["baseline"], 1 / len(digits().classes))
