"""Template: a spiking net tells classes that differ only in the relative times of spikes, and better with delays that it learns.

A seed plants for each of `classes` the times, in 0 … `longest`, at which each of `channels` fires once; a row is one class, begun at a
random moment, each spike moved by a rounded normal draw (`jitter`), among spikes of noise (`noise` a step and channel). All channels
fire alike often in all classes, so that nothing but relative times tells them apart. Arms, with as many weights and the same steps: the
recipe, whose delays are learnt; `fixed` delays, drawn at random; `none`. The baseline is the better of the last two, both noted.
Metric `accuracy`; the floor guesses. Exact part: with delays rounded to whole steps and bumps on one step each, at most `lost` accuracy is
lost.

Settings: these; `steps` (time steps of a row), `train` (overrides), `grid` (learning rates, chosen for each arm on 500 rows).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from sequary.claims.exact import CPU
from sequary.claims.image_classes import Images, accuracy, trained
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.mixers.conv.delays import Delayed, FixedDelays
from sequary.train.seeds import generator

LAYERS = ("model__tokens__embedding", "model__backbone__blocks__0")


def planted(settings: Mapping[str, Any], count: int, seed: int, purpose: str) -> Images:
    """[count, T, C] spikes and their classes."""
    s = settings
    own = generator(CPU, seed, "planted")
    times_KC = torch.randint(s["longest"] + 1, (s["classes"], s["channels"]), generator=own)
    rng = generator(CPU, seed, "rows", purpose)
    labels = torch.randint(s["classes"], (count,), generator=rng)
    begin = torch.randint(s["steps"] - s["longest"], (count, 1), generator=rng)
    jitter = (s["jitter"] * torch.randn(count, s["channels"], generator=rng)).round().long()
    at_BC = (begin + times_KC[labels] + jitter).clamp(0, s["steps"] - 1)
    spikes = (torch.rand(count, s["steps"], s["channels"], generator=rng) < s["noise"]).float()
    return Images(spikes.scatter_(1, at_BC[:, None], 1.0), labels)


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    recipe = load(slug).recipe
    assert recipe is not None
    s = claim.settings
    system = recipe.bind({"channels": s["channels"], "classes": s["classes"]}).but(**s["train"])
    found = {"system": system}
    drawn = part(FixedDelays, longest=s["longest"])
    found["fixed"] = system.but(**{f"{layer}__conv": drawn for layer in LAYERS})
    found["none"] = system.but(**{f"{layer}__conv__longest": 0 for layer in LAYERS})
    return found


def tune(slug: str, claim: Claim) -> dict[str, float]:
    rates: tuple[float, ...] = claim.settings["grid"]
    found = arms(slug, claim)
    if len(rates) == 1:
        return dict.fromkeys(found, rates[0])
    learnt, choose = (planted(claim.settings, n, 0, p) for n, p in ((claim.settings["rows"], "learn"), (500, "choose")))
    return {
        name: max(rates, key=lambda rate, r=recipe: accuracy(trained(r, learnt, rate, 0), choose))
        for name, recipe in found.items()
    }


def rounded(model: Model) -> Model:
    made = copy.deepcopy(model)
    for conv in made.modules():
        if isinstance(conv, Delayed):
            conv.whole()
    return made


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, float]) -> Trial:
    s = claim.settings
    learnt, test = planted(s, s["rows"], seed, "learn"), planted(s, s["test"], seed, "test")
    models = {name: trained(recipe, learnt, chosen[name], seed) for name, recipe in arms(slug, claim).items()}
    right = {name: accuracy(model, test) for name, model in models.items()}
    whole = accuracy(rounded(models["system"]), test)
    lost = right["system"] - whole
    broken = f"rounding the delays loses {lost:.3f} of accuracy; at most {s['lost']}" if lost > s["lost"] else ""
    also = {"fixed": right["fixed"], "none": right["none"], "rounded": whole}
    return Trial(seed, right["system"], max(right["fixed"], right["none"]), 1 / s["classes"], broken=broken, also=also)
