"""Exact: how many cells the middle one reads after neighbourhood attention whose dilation grows k-fold a layer, and without dilation.

Settings: `side` of the grid, odd and at least kernel^depth; `kernel` (k), `depth`, `heads`, `dim`, `tolerance`. System: blocks of DiNAT
with dilations 1, k, k² …; baseline: blocks of NAT, with as many keys. Metric `cells_read`: input cells with a gradient that is not zero.
Exact parts: after l layers the system reads (k^l)² cells and the baseline ((k − 1) l + 1)², for every l; a kernel that covers
its class of cells gives full attention inside of each class, to `tolerance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.claims.exact import distance, drawn, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.ctx import Ctx
from sequary.core.place import Place
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.neighbourhood import NeighbourhoodAttention
from sequary.systems.vision import dinat, nat_neighborhood


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def stacks(settings: Mapping[str, Any], depth: int) -> tuple[Stack, Stack]:
    heads, kernel, place = settings["heads"], settings["kernel"], Place(settings["dim"])
    dilations = tuple(kernel**layer for layer in range(depth))
    return (
        dinat.stage(depth, heads, dilations, kernel).build(place),
        nat_neighborhood.stage(depth, heads, kernel).build(place),
    )


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s, broken = claim.settings, ""
    k, found = s["kernel"], list[int]()
    for depth in range(1, s["depth"] + 1):
        arms = [drawn(lambda d=depth, i=i: stacks(s, d)[i], seed) for i in range(2)]
        found = [cells_read(arm, s["side"], s["dim"], seed) for arm in arms]
        told = [k ** (2 * depth), ((k - 1) * depth + 1) ** 2]
        if found != told and not broken:
            broken = f"after {depth} layers {found} cells are read with and without dilation; {told} were told"
    off = class_error(s, seed)
    if off > s["tolerance"] and not broken:
        broken = (
            f"a kernel as wide as its class is {off:.1e} from full attention in it; {s['tolerance']:.0e} is asked for"
        )
    return Trial(seed, float(found[0]), float(found[1]), broken=broken, also={"class_error": off})


def cells_read(stack: Stack, side: int, dim: int, seed: int) -> int:
    """Of the input, by the middle cell of the output."""
    x_BTD = normal(1, side * side, dim, seed=seed).requires_grad_()
    y_BTD = stack(x_BTD, Ctx(grid=(side, side)))[-1].x
    said: Tensor = (y_BTD[0, side * side // 2] * normal(dim, seed=seed, purpose="sum")).sum()
    return int((torch.autograd.grad(said, x_BTD)[0][0].abs().amax(-1) > 0).sum())


@torch.no_grad()
def class_error(settings: Mapping[str, Any], seed: int) -> float:
    """Between dilated attention on kernel · kernel cells a side and full attention among every kernel-th cell; the same weights."""
    k, dim, heads = settings["kernel"], settings["dim"], settings["heads"]
    near = drawn(lambda: NeighbourhoodAttention(dim, heads=heads, kernel=k, dilation=k, relative=False), seed)
    full = Attention(dim, heads=heads).double()
    full.load_state_dict(near.state_dict())
    x_BTD = normal(2, k**4, dim, seed=seed, purpose="class")
    ours = near(x_BTD, Ctx(grid=(k * k, k * k))).unflatten(1, (k, k, k, k))
    classes = x_BTD.unflatten(1, (k, k, k, k)).permute(2, 4, 0, 1, 3, 5).reshape(-1, k * k, dim)
    theirs = full(classes).view(k, k, 2, k, k, dim).permute(2, 3, 0, 4, 1, 5)
    return distance(ours, theirs)
