"""Exact and measured: attention at two resolutions is nearer to full attention than its exact blocks alone.

Settings: `length`, `dim`, `heads`, `block`, `refined` (blocks for each block of queries), `smooth` (tokens over which the input is
averaged, so that neighbours are alike, as in texts and images), `spread` (the standard deviation to which all scores are scaled).
Metric `error`: |o − o_full| / |o_full| over all heads and tokens, before the output's map. System: exact blocks and one number for each
other block; baseline: the same exact blocks, the others left out. Beside: every block by one number alone (`coarse`), and the share of
scores that are made (`scores`). Exact part: with all blocks exact it is full attention (float64, 1e-12).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import distance, drawn, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.ctx import Ctx
from sequary.mixers.attention.multiresolution import MultiresolutionAttention
from sequary.ops.attend import attend
from sequary.ops.block_attend import merge

EXACT = 1e-12


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


@torch.no_grad()
def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    blocks = -(-s["length"] // s["block"])
    x_BTD = smooth(normal(1, s["length"] + s["smooth"] - 1, s["dim"], seed=seed), s["smooth"])
    mixer = mixed(s, x_BTD, seed, s["refined"])
    q, k, v = mixer.qkv(x_BTD, None, s["heads"])
    full = attend(q, k, v)
    fine, coarse = mixer.readings(x_BTD, Ctx())
    alone = mixed(s, x_BTD, seed, 0).readings(x_BTD, Ctx())[1]
    error = {
        name: float((merge(found) - full).norm() / full.norm())
        for name, found in (("both", [fine, coarse]), ("fine", [fine]), ("coarse", [alone]))
    }
    off = distance(merge(mixed(s, x_BTD, seed, blocks).readings(x_BTD, Ctx())), full)
    broken = f"with all blocks exact it is {off:.1e} from full attention" if off > EXACT else ""
    scores = (s["length"] * s["refined"] * s["block"] + blocks**2) / s["length"] ** 2
    return Trial(seed, error["both"], error["fine"], broken=broken, also={"coarse": error["coarse"], "scores": scores})


def mixed(settings: Mapping[str, Any], x_BTD: Tensor, seed: int, refined: int) -> MultiresolutionAttention:
    """The same weights whatever is refined."""
    dim, heads, block = settings["dim"], settings["heads"], settings["block"]
    mixer = drawn(lambda: MultiresolutionAttention(dim, heads=heads, block=block, refined=refined), seed)
    q, k, _ = mixer.qkv(x_BTD, None, heads)
    scores = q @ k.mT / q.shape[-1] ** 0.5
    for parameter in mixer.qkv.q.parameters():
        parameter.mul_(settings["spread"] / scores.std())
    return mixer


def smooth(x_BTD: Tensor, width: int) -> Tensor:
    """Means of `width` tokens in a row, of unit size again."""
    return x_BTD.unfold(1, width, 1).mean(-1) * width**0.5
