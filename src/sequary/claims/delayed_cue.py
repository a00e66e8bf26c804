"""Delayed cue by policy gradient: a cue, `delay` blanks, a question; reward 1 for the action that names the cue, 0 for any other.

A T-maze without its walls, after the memory environments of Parisotto et al. (GTrXL, arXiv 1910.06764). Nothing tells the model
which action was right: REINFORCE, with the mean reward of the other rows of the batch as its baseline and an entropy bonus.
System: the recipe; baseline: the variant that `against` names, at equal parameters; those of `beside` are noted by their names.

The question is how much learning hangs on the learning rate. Metric `solved`: the share of `rates` at which the greedy policy is
right in nine of ten cases after training; a run that diverges is not solved. The mean success over the rates is noted.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch

from sequary.claims.judging import Trial
from sequary.claims.symbols import Rows, accuracy, trained
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch, Loss
from sequary.train.diverged import Diverged
from sequary.train.seeds import generator

BLANK, ASK = 0, 1
SOLVED = 0.9


@dataclasses.dataclass(frozen=True, slots=True)
class Reinforce:
    """−(R − R̄) log π(a) − `entropy` · H(π) at the last step, a ~ π over all symbols; R̄ the mean over the other rows."""

    entropy: float = 0.01

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        assert batch.target is not None
        log_p = model.head(model(batch, rng=rng).hidden[:, -1]).log_softmax(-1)
        action = torch.multinomial(log_p.detach().exp(), 1, generator=rng)
        reward = (action == batch.target[:, -1:]).to(log_p.dtype)
        others = (reward.sum() - reward) / (len(reward) - 1)
        gain = ((reward - others) * log_p.gather(1, action)).mean()
        entropy = -(log_p.exp() * log_p).sum(-1).mean()
        return Loss(-gain - self.entropy * entropy, {"reward": reward.mean()})


def cued(count: int, seed: int, purpose: str, *, cues: int, delay: int) -> Rows:
    """`count` rows of `delay` + 2 symbols: one of `cues` cues, blanks, the question."""
    rng = generator(torch.device("cpu"), seed, "cue", purpose)
    values = torch.full((count, delay + 2), BLANK, dtype=torch.int16)
    values[:, 0] = 2 + torch.randint(cues, (count,), generator=rng, dtype=torch.int16)
    values[:, -1] = ASK
    target = torch.zeros_like(values)
    target[:, -1] = values[:, 0]
    return Rows(values, target, target > 0)


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    """ "system", "baseline", and the variants beside by their names."""
    names = {"system": slug, "baseline": claim.against or "", **{n: n for n in claim.settings.get("beside", ())}}
    found: dict[str, Recipe] = {}
    for arm, name in names.items():
        recipe = load(name).recipe
        assert recipe is not None
        found[arm] = recipe.but(**claim.settings["train"], stages__0__objective=Reinforce(claim.settings["entropy"]))
    return found


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is chosen: all rates count."""
    return {}


def success(recipe: Recipe, claim: Claim, rate: float, seed: int) -> float:
    s = claim.settings
    task = {"cues": s["cues"], "delay": s["delay"]}
    count = s["train"]["stages__0__train__steps"] * s["train"]["stages__0__train__batch"]
    try:
        model = trained(
            recipe.but(stages__0__train__lr=rate), cued(count, seed, "train", **task), vocab=2 + s["cues"], seed=seed
        )
    except Diverged:
        return 0.0
    return accuracy(model, cued(200, seed, "test", **task))


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    rates: tuple[float, ...] = claim.settings["rates"]
    found = {n: [success(r, claim, rate, seed) for rate in rates] for n, r in arms(slug, claim).items()}
    solved = {name: sum(s >= SOLVED for s in each) / len(rates) for name, each in found.items()}
    also = {f"success_{name}": math.fsum(each) / len(rates) for name, each in found.items()}
    also |= {name: share for name, share in solved.items() if name not in ("system", "baseline")}
    return Trial(seed, solved["system"], solved["baseline"], also=also)
