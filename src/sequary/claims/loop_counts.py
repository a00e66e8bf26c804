"""Layers before a loop save more bits of a text than rounds of the loop, and the loop serves best at the rounds it was trained with.

Bits per byte of Shakespeare. System: the recipe; baseline: the variant that `against` names, with fewer layers before the loop and more
rounds. `beside`: further variants, noted by name. Exact parts: the spectral radius of what the loop carries on stays below 1; with `fewer`
and with `more` rounds than trained the system needs no fewer bits (noted as "fewer" and "more"). Settings: these and those of
claims/text.py. The floor is the unigram model.
"""

from __future__ import annotations

from collections.abc import Mapping

from sequary.blocks.anchored_loop import AnchoredLoop
from sequary.claims.judging import Trial
from sequary.claims.text import Chosen, bits, learnt, tuned, unigram
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.recipe import Recipe
from sequary.tasks.language.train import Fitted


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    names = {"system": slug, "baseline": claim.against or "", **{n: n for n in claim.settings["beside"]}}
    recipes = {arm: load(name).recipe for arm, name in names.items()}
    return {arm: recipe for arm, recipe in recipes.items() if recipe is not None}


def tune(slug: str, claim: Claim) -> Chosen:
    return tuned(claim, arms(slug, claim))


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, float]]) -> Trial:
    fitted = {n: learnt(claim, recipe, seed, chosen[n]) for n, recipe in arms(slug, claim).items()}
    found = {n: bits(claim, f) for n, f in fitted.items()}
    loop = loop_of(fitted["system"])
    trained = loop.loops
    radius = float(loop.keep.detach().sigmoid().max())
    found |= {n: run(claim, fitted["system"], trained + claim.settings[n]) for n in ("fewer", "more")}
    broken = "" if radius < 1 else f"the spectral radius is {radius}"
    better = [n for n in ("fewer", "more") if found[n] < found["system"]]
    if better:
        broken = f"with {better[0]} rounds than the {trained} trained it needs {found[better[0]]:.3f} bits, fewer"
    also = {n: value for n, value in found.items() if n not in ("system", "baseline")} | {"radius": radius}
    return Trial(seed, found["system"], found["baseline"], unigram(claim), broken=broken, also=also)


def loop_of(fitted: Fitted) -> AnchoredLoop:
    (loop,) = (m for m in fitted.model.modules() if isinstance(m, AnchoredLoop))
    return loop


def run(claim: Claim, fitted: Fitted, loops: int) -> float:
    """Bits with another number of rounds, the weights as they are."""
    loop = loop_of(fitted)
    trained, loop.loops = loop.loops, loops
    said = bits(claim, fitted)
    loop.loops = trained
    return said
