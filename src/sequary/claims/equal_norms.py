"""Exact: a pre-LN transformer and its Pre-RMSNorm and Pre-CRMSNorm forms are one function, and have one gradient.

Settings: `dim`, `depth`, `heads`, `vocab`, `rows`, `tokens`, `steps`, `tolerance`. Metric `logit_error`: max|a − b| / max(1, max|b|) over
logits against the pre-LN model, float64. System: the worse of both edits; baseline: layer norms exchanged for RMS norms as they stand.
Exact parts: the system's error is at most `tolerance`; so is that of the losses along `steps` steps of gradient descent, where
the Pre-RMSNorm model is trained through its centring; a post-LN model is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.blocks.norms import RMSNorm
from sequary.blocks.postnorm import PostNorm
from sequary.claims.exact import CPU, distance, drawn
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.edit.centre import PreCRMSNorm, PreRMSNorm, centred, normed, rebuilt
from sequary.train.seeds import generator

RATE = 0.1


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is chosen."""
    return {}


def small(slug: str, claim: Claim) -> Recipe:
    s, recipe = claim.settings, load(slug).recipe
    assert recipe is not None
    attention = {"heads": s["heads"], "width": s["dim"] // s["heads"]}
    places = {f"model__backbone__blocks__0__parts__0__{name}": value for name, value in attention.items()}
    hidden = {"model__backbone__blocks__0__parts__1__hidden": 4 * s["dim"]}
    sized = recipe.but(dim=s["dim"], model__backbone__depth=s["depth"], **places, **hidden)
    return sized.bind({"vocab": s["vocab"]})


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s, recipe = claim.settings, small(slug, claim)
    model = drawn(recipe.build, seed)
    ids = torch.randint(s["vocab"], (s["rows"], s["tokens"]), generator=generator(CPU, seed, "symbols"))
    said = logits(model, ids)
    rms, crms = (edit(model, recipe, (), torch.Generator()).model for edit in (PreRMSNorm(), PreCRMSNorm()))
    naive = rebuilt(model, normed(recipe, part(RMSNorm, eps=1e-5)), model.state_dict()).model
    errors = {"rms": distance(logits(rms, ids), said), "crms": distance(logits(crms, ids), said)}
    errors["training"] = training_gap(model, rms, ids, s["steps"])
    broken = ""
    if max(errors.values()) > s["tolerance"]:
        broken = f"errors {errors}; {s['tolerance']:.0e} is asked for"
    elif not refuses(model, recipe):
        broken = "a post-LN model is rewritten"
    system = max(errors["rms"], errors["crms"])
    return Trial(seed, system, distance(logits(naive, ids), said), broken=broken, also={"training": errors["training"]})


@torch.no_grad()
def logits(model: Model, ids_BT: Tensor) -> Tensor:
    return model.head(model(Batch(values=ids_BT)).hidden)


def training_gap(model: Model, rms: Model, ids_BT: Tensor, steps: int) -> float:
    """Between the losses of both models, each from the weights of the first."""
    ones = {n: v for n, v in rms.state_dict().items() if n not in model.state_dict()}
    start = {n: v.clone() for n, v in model.state_dict().items()}
    first = descended(model, start, ids_BT, steps, lambda w: w)
    second = descended(rms, start, ids_BT, steps, lambda w: centred(w) | ones)
    return distance(second, first)


def descended(model: Model, weights: Mapping[str, Tensor], ids_BT: Tensor, steps: int, through: Any) -> Tensor:
    """[steps] losses of the next token under gradient descent on `weights`, which the model gets through `through`."""
    losses: list[Tensor] = []
    for _ in range(steps):
        free = {n: v.detach().requires_grad_() for n, v in weights.items()}
        full = cast("dict[str, Tensor]", through(free))
        hidden = torch.func.functional_call(model, full, (Batch(values=ids_BT),)).hidden
        loss = F.cross_entropy(
            F.linear(hidden[:, :-1].flatten(0, 1), full["heads.main.out.weight"]), ids_BT[:, 1:].flatten()
        )
        gradients = torch.autograd.grad(loss, list(free.values()))
        weights = {n: v - RATE * g for (n, v), g in zip(free.items(), gradients, strict=True)}
        losses.append(loss.detach())
    return torch.stack(losses)


def refuses(model: Model, recipe: Recipe) -> bool:
    (block,) = recipe.model.get("backbone").get("blocks")
    post = part(PostNorm, parts=block.get("parts"), norm=block.get("norm"))
    try:
        PreRMSNorm()(model, recipe.but(model__backbone__blocks=(post,)), (), torch.Generator())
    except ValueError:
        return True
    return False
