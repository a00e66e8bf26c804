"""At initialisation: attention alone makes its tokens alike at an accelerating rate; with skips it does not.

Settings: `tokens`, `rows`, `depth`, `gain`. System: the recipe, attention alone; baseline: its variant with skips, same draws. float64.
r_l is the relative residual after layer l, and log10 r_{l-1} − log10 r_l the decades that a layer takes off it. Metric `acceleration`:
how many more decades the last layer takes off than the first, per layer between them; layers count up to the one that reaches
`ROUNDING`, below which float64 shows nothing. Exact parts, of the catalogue's row: each layer of attention alone takes off more than
the one before; skips lose under 0.3 decades a layer and keep r above 10^-1.5. Feed-forwards slow the fall if they amplify enough:
after two layers, with weights W2 · `gain`, r is above that of attention alone (with their own weights it is below: noted).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import CPU
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.mixers.mlp.dense import MLP
from sequary.probe.rank_collapse import RankCollapse
from sequary.train.seeds import derive, forked, generator

ROUNDING = 1e-14


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def arms(slug: str, claim: Claim) -> tuple[Recipe, Recipe, Recipe]:
    """Attention alone, with skips, and with feed-forwards in place of skips."""
    alone, skips = (load(name).recipe for name in (slug, claim.against or ""))
    assert alone is not None
    assert skips is not None
    depth = {"model__backbone__depth": claim.settings["depth"]}
    (attention,) = alone.model.get("backbone").get("blocks")[0].get("parts")
    fed = alone.but(model__backbone__blocks__0__parts=(attention, part(MLP)))
    return alone.but(**depth), skips.but(**depth), fed.but(**depth)


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    alone, skips, fed = arms(slug, claim)
    r_alone, r_skips = (residuals(recipe, claim.settings, seed) for recipe in (alone, skips))
    r_fed, r_gained = (residuals(fed, claim.settings, seed, gain=gain) for gain in (1.0, claim.settings["gain"]))
    lost, lost_skips = decades(r_alone), decades(r_skips)
    after_two = {"alone": r_alone[2], "fed": r_fed[2], "gained": r_gained[2]}
    also = {f"log10_after_two_{name}": float(r.log10()) for name, r in after_two.items()}
    also |= {"log10_last_alone": float(r_alone[-1].log10()), "log10_last_skips": float(r_skips[-1].log10())}
    broken = ""
    if not bool((lost.diff() > 0).all()):
        broken = f"attention alone takes off {lost.tolist()} decades: not more with each layer"
    elif float(lost_skips.mean()) >= 0.3 or float(r_skips[-1]) <= 10**-1.5:
        broken = f"with skips {float(lost_skips.mean()):.2f} decades a layer, down to {float(r_skips[-1]):.1e}"
    elif r_gained[2] <= r_alone[2]:
        broken = f"feed-forwards with gain {claim.settings['gain']} leave {float(r_gained[2]):.1e}, not more than none"
    return Trial(seed, acceleration(lost), acceleration(lost_skips), broken=broken, also=also)


def residuals(recipe: Recipe, settings: Mapping[str, Any], seed: int, *, gain: float = 1.0) -> Tensor:
    """[depth + 1] relative residuals of fresh weights, the input first."""
    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        model = recipe.build().double().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, MLP):
                module.down.weight *= gain
    vocab = recipe.model.get("tokens").get("vocab")
    ids = torch.randint(0, vocab, (settings["rows"], settings["tokens"]), generator=generator(CPU, seed, "tokens"))
    return RankCollapse()(model, [Batch(values=ids)]).tensors["relative"]


def decades(r: Tensor) -> Tensor:
    """What each layer takes off, as far as float64 shows it."""
    shown = 1 + int((r[:-1] > ROUNDING).long().cumprod(0).sum())
    return -r[:shown].log10().diff()


def acceleration(lost: Tensor) -> float:
    return float(lost[-1] - lost[0]) / (len(lost) - 1)
