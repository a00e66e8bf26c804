"""Template: a streaming classifier needs only the first part of a series: its accuracy there is as good as at the end.

Spoken digits, log mel bands (those of claims/classification.py). `labels` recordings are learnt from, `validation` chosen by and
`test` told. System: accuracy after the first `share` of each recording's frames; baseline: the same model's after all of them, so
the claim's margin is below zero, by what may be lost. Beside: the accuracy after half of it ("half"), and of `rival`, another system,
after `share` and after all ("rival_early", "rival"), where one is given. The exact part: hidden values of the first part do not
change with what comes later (1e-9, in float64).

Settings: these; `context` (frames); `steps`; `train` (overrides); `grid` (learning rates). The floor guesses.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch

from sequary.claims.classification import Parts, accuracy, digits, parts, trained
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.tasks.classify.rows import Rows
from sequary.tasks.classify.train import prepare

EXACT = 1e-9


def arm(slug: str, claim: Claim) -> Recipe:
    recipe = load(slug).recipe
    assert recipe is not None
    last = len(recipe.stages) - 1
    changed = recipe.but(
        **{f"stages__{last}__train__steps": claim.settings["steps"]}, **claim.settings.get("train", {})
    )
    return prepare(changed, digits(), context=claim.settings["context"]).but(stages=(changed.stages[last],))


def early(rows: Rows, share: float) -> Rows:
    """The first `share` of each series, rounded up; the rest is as if it were padding."""
    observed = torch.ones_like(rows.values, dtype=torch.bool) if rows.observed is None else rows.observed
    length_B = observed.any(-1).sum(1)
    kept_BL = torch.arange(observed.shape[1]) < (share * length_B).ceil()[:, None]
    seen = observed & kept_BL[..., None]
    return Rows(rows.values * seen, seen, rows.target)


def tune(slug: str, claim: Claim) -> dict[str, float]:
    rates: tuple[float, ...] = claim.settings["grid"]
    names = [n for n in (slug, claim.settings.get("rival")) if n]
    if len(rates) == 1:
        return dict.fromkeys(names, rates[0])
    data = parts(claim.settings, 0)
    return {n: max(rates, key=lambda r, n=n: accuracy(learnt(n, claim, data, r, 0), data.validation)) for n in names}


def learnt(slug: str, claim: Claim, data: Parts, rate: float, seed: int) -> Model:
    return trained(arm(slug, claim), data, rate, seed)[0]


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, float]) -> Trial:
    data, share, rival = parts(claim.settings, seed), claim.settings["share"], claim.settings.get("rival")
    model, some = learnt(slug, claim, data, chosen[slug], seed), early(data.test, share)
    also = {"half": accuracy(model, early(data.test, 0.5))}
    if rival:
        other = learnt(rival, claim, data, chosen[rival], seed)
        also |= {"rival_early": accuracy(other, some), "rival": accuracy(other, data.test)}
    off = leak(model, data.test, share)
    broken = f"hidden values of the first part change by {off:.1e} with what comes later" if off > EXACT else ""
    return Trial(
        seed, accuracy(model, some), accuracy(model, data.test), 1 / len(digits().classes), broken=broken, also=also
    )


@torch.no_grad()
def leak(model: Model, rows: Rows, share: float) -> float:
    """The greatest change of a hidden value among the first frames when the later ones become something else."""
    model, values = copy.deepcopy(model).double().eval(), rows.values[:16].double()
    cut = math.ceil(share * values.shape[1])
    other = torch.cat((values[:, :cut], values[:, cut:].flip(0)), 1)
    now, then = (model(Batch(values=v)).hidden[:, :cut] for v in (values, other))
    return float((now - then).abs().max())
