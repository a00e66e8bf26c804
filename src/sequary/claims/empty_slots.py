"""Exact: how many slots of attention stand empty for clustered points, in groups of equal size and in windows of equal shape.

Settings: `side` of the map, `window`, `clusters`, `points`, `dim`, `heads`, `tolerance`. Points are drawn around cluster centres. Metric
`empty_share`: of the slots that attention computes, the share without a point of its own. Baseline: every window that holds a point has
as many slots as the fullest one. System: groups as large as the mean number of points of these windows. Exact parts: each
point stands in one group, only the last one borrows, and the output is that of attention under the mask of groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import CPU, distance, drawn, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.ctx import Ctx
from sequary.mixers.attention.flat_window import FlatWindowAttention, path
from sequary.ops.forms import form
from sequary.train.seeds import generator


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def clustered(settings: Mapping[str, Any], seed: int) -> Tensor:
    """[side, side] bool: which cells hold a point."""
    rng, side = generator(CPU, seed, "points"), settings["side"]
    centres = torch.rand(settings["clusters"], 2, generator=rng) * side
    spread = 1 + 5 * torch.rand(settings["clusters"], 1, generator=rng)
    which = torch.randint(settings["clusters"], (settings["points"],), generator=rng)
    cells = centres[which] + spread[which] * torch.randn(settings["points"], 2, generator=rng)
    held = torch.zeros(side, side, dtype=torch.bool)
    row, column = cells.long().clamp(0, side - 1).unbind(1)
    held[row, column] = True
    return held


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    held, w = clustered(s, seed), s["window"]
    grid, points = (s["side"], s["side"]), int(held.sum())
    filled = held.unflatten(1, (-1, w)).unflatten(0, (-1, w)).sum((1, 3)).flatten()
    filled = filled[filled > 0]
    group = max(1, round(points / len(filled)))
    slots = -(-points // group) * group
    mixer = drawn(lambda: FlatWindowAttention(s["dim"], heads=s["heads"], window=(w, w), group=group), seed)
    x_BTD, ctx = normal(1, held.numel(), s["dim"], seed=seed), Ctx(grid=grid, mask=held.flatten()[None])
    broken = misplaced(mixer, ctx, points)
    off = mask_error(mixer, x_BTD, ctx)
    if not broken and off > s["tolerance"]:
        broken = f"the output is {off:.1e} from attention under the mask of groups; {s['tolerance']:.0e} is asked for"
    empty = [1 - points / total for total in (slots, len(filled) * int(filled.max()))]
    return Trial(seed, empty[0], empty[1], broken=broken, also={"group": float(group), "points": float(points)})


def misplaced(mixer: FlatWindowAttention, ctx: Ctx, points: int) -> str:
    """What is wrong with the groups: those of the first layer's path, cell by cell."""
    assert ctx.mask is not None
    grid = (ctx.grid or (0, 0))[0], (ctx.grid or (0, 0))[1]
    key = path(grid, mixer.window, mixer.axis, shift=mixer.shift, device=CPU)
    order, count = mixer.sorted(ctx.mask[..., None].double(), ctx, key)
    queries, keys = mixer.groups(order, count)
    own = queries[queries >= 0]
    if sorted(own.tolist()) != ctx.mask[0].nonzero().flatten().tolist():
        return "a point stands in no group, or in two"
    borrowed = [(set(k.tolist()) - set(q.tolist())) - {-1} for q, k in zip(queries[0], keys[0], strict=True)]
    last = (points - 1) // mixer.group
    return "a group before the last one borrows points" if any(borrowed[:last]) else ""


@torch.no_grad()
def mask_error(mixer: FlatWindowAttention, x_BTD: Tensor, ctx: Ctx) -> float:
    """Between its two forms, at the points."""
    assert ctx.mask is not None
    with form("reference"):
        slow = mixer(x_BTD, ctx)
    return distance(mixer(x_BTD, ctx)[ctx.mask], slow[ctx.mask])
