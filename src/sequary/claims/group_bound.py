"""Exact: keys taken for the mean of their group by k-means, against groups drawn at random; exact where the keys of a group coincide.

Settings: `length`, `dim`, `groups`, `rounds`, `jitter` (of keys around `groups` centres, which a seed draws). Metric `error`:
|o − o_full| / |o_full|. System: groups by k-means; baseline: as many random ones. Exact parts, in float64: with no jitter and the true
groups the output is full attention's (1e-12); no weight is off by more than the factor e^{2‖q‖ρ/√K}, ρ the greatest distance of a key
from the mean of its k-means group. Beside: `bound` and `worst`, the logarithm of that factor and of the worst seen, means over queries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import CPU, distance, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.mixers.attention.grouped_keys import group_attend, kmeans, means
from sequary.ops.attend import attend, weights
from sequary.train.seeds import generator

EXACT = 1e-12


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


@torch.no_grad()
def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s, shape = claim.settings, (1, 1, claim.settings["length"], claim.settings["dim"])
    rng = generator(CPU, seed, "groups")
    true, random = (torch.randint(s["groups"], shape[:3], generator=rng) for _ in range(2))
    centres = normal(1, 1, s["groups"], s["dim"], seed=seed, purpose="centres")
    exact = centres.gather(2, true[..., None].expand(shape))
    q, v, noise = (normal(*shape, seed=seed, purpose=name) for name in ("queries", "values", "noise"))
    k = exact + s["jitter"] * noise
    found = kmeans(k, torch.ones(1, s["length"], dtype=torch.bool), s["groups"], s["rounds"])
    full = attend(q, k, v)
    ours, theirs = (float((group_attend(q, k, v, g, s["groups"]) - full).norm() / full.norm()) for g in (found, random))
    off = distance(group_attend(q, exact, v, true, s["groups"]), attend(q, exact, v))
    bound_T, worst_T = factors(q, k, found, s["groups"])
    broken = ""
    if off > EXACT:
        broken = f"with equal keys in a group the output is {off:.1e} from full attention"
    elif (worst_T > bound_T + EXACT).any():
        broken = f"a weight is off by e^{float((worst_T - bound_T).max()):.3g} times the bound"
    return Trial(
        seed, ours, theirs, broken=broken, also={"bound": float(bound_T.mean()), "worst": float(worst_T.mean())}
    )


def factors(q: Tensor, k: Tensor, group: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """For each query the logarithm of the factor that the radius allows, and of the worst that is seen."""
    centre = means(k, group, groups)[0].gather(2, group[..., None].expand_as(k))
    radius = (k - centre).norm(dim=-1).max()
    ratio = weights(q, centre).log() - weights(q, k).log()
    return 2 * q.norm(dim=-1)[0, 0] * radius / math.sqrt(q.shape[-1]), ratio.abs().amax(-1)[0, 0]
