"""Template: a prediction gets better with every step of descent on an energy, and the energy knows the truth from a wrong byte.

The metric is bits per byte of test windows after the last step; the baseline is the same model after its first step, so that nothing
but descent differs. Broken where a step raises the loss, the first against the noise that it starts from included, or where the
energy of the true next byte is below that of a wrong one (drawn as often as the text has it) less often than `separated`, in the same
context. Beside: every step, and a transformer of the same size and settings, the claim's `against`. Settings: those of claims/text.py
but `grid`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.claims.judging import Trial
from sequary.claims.text import Chosen, learnt, shakespeare, unigram
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.models.energy import EnergyModel
from sequary.tasks.language.train import TextWindows
from sequary.train.seeds import generator

CPU = torch.device("cpu")


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    """ "system" and the transformer, by its slug."""
    named = {"system": slug, "transformer": claim.against or "gpt"}
    recipes = {arm: load(name).recipe for arm, name in named.items()}
    return {arm: recipe for arm, recipe in recipes.items() if recipe is not None}


def batches(claim: Claim) -> list[Batch]:
    """The start of the test part, in windows that do not overlap."""
    test, context = shakespeare()[1][: claim.settings["judged"]], claim.settings["context"]
    windows = TextWindows(test, context=context, stride=context)
    return [windows.batch(rows) for rows in torch.arange(len(windows)).split(16)]


def bits_of(losses: list[Tensor]) -> float:
    return float(torch.cat([loss.flatten() for loss in losses]).double().mean()) / math.log(2)


@torch.no_grad()
def plain_bits(model: Model, claim: Claim) -> float:
    return bits_of([model.head.loss(model(b).hidden, _target(b)) for b in batches(claim)])


def step_bits(model: EnergyModel, claim: Claim, seed: int) -> list[float]:
    """Before the first step, and after each."""
    rng, losses = generator(CPU, seed, "descent"), [list[Tensor]() for _ in range(model.steps + 1)]
    for batch in batches(claim):
        start = model.start(batch, rng)
        path = model.refine(batch, start, rng, learn=False)
        for found, logits in zip(losses, (start.detach(), *(p.logits for p in path)), strict=True):
            found.append(model.head.loss(logits, _target(batch)))
    return [bits_of(found) for found in losses]


@torch.no_grad()
def separated(model: EnergyModel, claim: Claim, seed: int) -> float:
    """How often the true next byte has less energy than a wrong one in the same context; ties count half."""
    rng, won = generator(CPU, seed, "wrong bytes"), list[Tensor]()
    text = torch.from_numpy(shakespeare()[1].copy()).long()
    for batch in batches(claim):
        true = _target(batch)
        wrong = text[torch.randint(len(text), true.shape, generator=rng)]
        low, high = (model.energy(batch, F.one_hot(ids, model.vocab).float()) for ids in (true, wrong))
        won.append(((low < high).float() + (low == high).float() / 2)[wrong != true])
    return float(torch.cat(won).mean())


def _target(batch: Batch) -> Tensor:
    assert batch.target is not None
    return batch.target


def tune(slug: str, claim: Claim) -> Chosen:
    """Nothing: both sides of the metric are one model, so no setting favours either."""
    return {name: {} for name in arms(slug, claim)}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    fitted = {name: learnt(claim, recipe, seed, chosen[name]) for name, recipe in arms(slug, claim).items()}
    model = fitted["system"].model
    assert isinstance(model, EnergyModel)
    steps, share = step_bits(model, claim, seed), separated(model, claim, seed)
    broken = [f"step {i} raises {a:.3f} bits to {b:.3f}" for i, (a, b) in enumerate(pairwise(steps), 1) if a <= b]
    if share < claim.settings["separated"]:
        broken.append(f"energies tell {share:.3f} of the wrong bytes, fewer than {claim.settings['separated']}")
    also = {f"after_step_{i}": found for i, found in enumerate(steps)} | {"separated": share}
    also["transformer"] = plain_bits(fitted["transformer"].model, claim)
    return Trial(seed, steps[-1], steps[1], unigram(claim), broken="; ".join(broken), also=also)
