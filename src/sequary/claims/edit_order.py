"""Template: an edit that looks at the data raises the loss less than its blind twin of the same size, on one trained model.

Each seed trains the system's recipe on Shakespeare, and both arms edit that one model. Metric `loss_increase`: bits per byte of held-out
text after the edit, less those before. By `claim.against`:

* "random heads": head pruning cuts the share `share` of all heads, the least important; the twin cuts as many at random, each layer
  keeping one, mean over `draws` draws;
* "plain SVD": the attention's projections are factorised at the ranks of LoRAP's `keep`, by the SVD weighted with the sizes of their
  inputs; the twin takes all sizes as 1. Feed-forwards stay whole.

Settings besides those of claims/text.py: `calibration`, rows of training text that the edit sees. The floor: what the loss rises by
where nothing but the bytes' frequencies is left.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.judging import Trial
from sequary.claims.text import bits, learnt, shakespeare, unigram
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.values import Batch
from sequary.edit.head_pruning import HeadPruning, attentions, cut, lowest
from sequary.edit.layers import changed, places
from sequary.edit.lorap import LoRAP, sizes
from sequary.mixers.attention.causal import CausalAttention
from sequary.tasks.language.train import Fitted, TextWindows
from sequary.train.seeds import generator

CPU = torch.device("cpu")


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Both arms edit the same weights: there is nothing to choose."""
    return {}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    recipe = load(slug).recipe
    assert recipe is not None
    base = learnt(claim, recipe, seed)
    before = bits(claim, base)
    edited = {"random heads": pruned, "plain SVD": factorised}[claim.against or ""]
    system, twins = edited(claim, base, calibration(claim, base, seed), seed)
    rise = [bits(claim, dataclasses.replace(base, model=m)) - before for m in (system, *twins)]
    also = {"before": before, "kept": parameters(system) / parameters(base.model)}
    return Trial(seed, rise[0], statistics.mean(rise[1:]), unigram(claim) - before, also=also)


def calibration(claim: Claim, base: Fitted, seed: int) -> list[Batch]:
    """Windows of the training text at random places."""
    windows = TextWindows(shakespeare()[0], context=base.context)
    rows = torch.randint(len(windows), (claim.settings["calibration"],), generator=generator(CPU, seed, "calibration"))
    return [windows.batch(some) for some in rows.split(16)]


def pruned(claim: Claim, base: Fitted, seen: list[Batch], seed: int) -> tuple[Model, list[Model]]:
    """The least important heads cut out, and as many random ones, several times."""
    rng = generator(CPU, seed, "random heads")
    share, layers = claim.settings["share"], attentions(base.model)
    system = HeadPruning(keep=1 - share)(base.model, base.recipe, seen, rng).model
    shape = len(layers), layers[0].heads
    drop = round(share * shape[0] * shape[1])
    keeps = [~lowest(torch.rand(shape, generator=rng), drop) for _ in range(claim.settings["draws"])]
    return system, [cut(base.model, base.recipe, keep).model for keep in keeps]


@torch.no_grad()
def factorised(claim: Claim, base: Fitted, seen: list[Batch], seed: int) -> tuple[Model, list[Model]]:
    """The attention at LoRAP's ranks, weighted and plain."""
    with sizes(base.model) as squares:
        for batch in seen:
            base.model(batch)
    edit, blind = LoRAP(keep=claim.settings["keep"]), {name: torch.ones_like(s) for name, s in squares.items()}
    return attention_only(edit, base, squares), [attention_only(edit, base, blind)]


def attention_only(edit: LoRAP, base: Fitted, squares: dict[str, Tensor]) -> Model:
    recipe, weights = base.recipe, dict(base.model.state_dict())
    for layer, index, _ in places(recipe, (CausalAttention,)):
        edit.factorise(weights, f"backbone.blocks.{layer}.parts.{index}", squares, recipe.dim)
    made = changed(recipe, (CausalAttention,), lambda _, part: part.but(ranks=edit.ranks(recipe.dim))).build()
    made.load_state_dict(weights)
    return made.eval()


def parameters(model: Model) -> int:
    return sum(p.numel() for p in model.parameters())
