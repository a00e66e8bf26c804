"""Exact: a head reads nothing outside its window, and a network of such layers nothing beyond the sum of its widest windows.

Settings: `reaches` (of a layer's heads), `depth`, `dim`, `length`, `tolerance`. Metric `outside`: the
greatest weight that a head with a window lays outside of it, and for the baseline, the same layer with all tokens in sight of all heads,
the greatest weight outside the same windows. Exact parts, in float64: with all tokens in sight of all heads the output is that of full
attention to `tolerance`; `depth` layers read exactly the `depth` · max reach nearest tokens on each side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import distance, drawn, normal, reads
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.ctx import Ctx, Tape
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.scales import MultiScaleAttention


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    reaches, dim, length = s["reaches"], s["dim"], s["length"]
    all_of_them = (None,) * len(reaches)
    narrow = [drawn(lambda: MultiScaleAttention(dim, reaches=reaches), seed + i) for i in range(s["depth"])]
    wide = drawn(lambda: MultiScaleAttention(dim, reaches=all_of_them), seed)
    full = Attention(dim, heads=len(reaches)).double()
    full.load_state_dict(wide.state_dict())
    x_1TD = normal(1, length, dim, seed=seed)
    away_TT = (torch.arange(length)[:, None] - torch.arange(length)).abs()

    def through(x: Tensor) -> Tensor:
        for layer in narrow:
            x = layer(x)
        return x

    with torch.no_grad():
        off = distance(wide(x_1TD), full(x_1TD))
    seen = reads(through, x_1TD, seed=seed) > 0
    field, broken = s["depth"] * max(reaches), ""
    if off > s["tolerance"]:
        broken = f"with all tokens in sight the output is {off:.1e} from full attention"
    elif not torch.equal(seen, away_TT <= field):
        broken = f"{s['depth']} layers do not read exactly the {field} nearest tokens"
    outside = [_outside(layer, x_1TD, away_TT, reaches) for layer in (narrow[0], wide)]
    return Trial(seed, outside[0], outside[1], broken=broken, also={"field": float(field)})


@torch.no_grad()
def _outside(layer: MultiScaleAttention, x_1TD: Tensor, away_TT: Tensor, reaches: tuple[int, ...]) -> float:
    tape = Tape("attention")
    layer(x_1TD, Ctx(tape=tape))
    (a_1HTT,) = tape.entries["attention"]
    return max(float((a_1HTT[0, h] * (away_TT > reach)).max()) for h, reach in enumerate(reaches))
