"""Exact: with a map for each group of channels, every group can attend to its own mark; one map for all has to share itself out.

Settings: `side`, `dim`, `groups`, `height`. Each group's channels hold one mark, `height` at a cell of its own, over small noise; no two
marks lie within reach of one max-pool. Convolutions are the identity and the mean. Metric `own_weight`: the least weight, over the
groups, that a group's map gives to the 3 × 3 cells around its mark. System: `SubspaceAttention` with `groups`; baseline: with one.
Exact part: the output of a group has no gradient from the channels of another, and with one map it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import CPU, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.ctx import Ctx
from sequary.mixers.conv.subspace_attention import SubspaceAttention
from sequary.train.seeds import generator

NOISE = 0.1
APART = 4
"""Cells of the side of a square that holds one mark in its middle."""


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    x_BTD, places = marked(s, seed)
    own, shared = (built(s["dim"], groups) for groups in (s["groups"], 1))
    across, coupled = (across_groups(mixer, x_BTD, s) for mixer in (own, shared))
    broken = ""
    if across > 0:
        broken = f"a group's output has a gradient of {across:.1e} from another's channels; none is asked for"
    elif coupled == 0:
        broken = "with one map no group reads another's channels, so that nothing tells the two apart"
    found = (least(mixer, x_BTD, places, s) for mixer in (own, shared))
    return Trial(seed, *found, broken=broken, also={"gradient_with_one_map": coupled})


def built(dim: int, groups: int) -> SubspaceAttention:
    mixer = SubspaceAttention(dim, groups=groups).double()
    with torch.no_grad():
        mixer.scale.fill_(1.0)
        mixer.point.fill_(groups / dim)
    return mixer


def marked(settings: Mapping[str, Any], seed: int) -> tuple[Tensor, Tensor]:
    """x [1, T, D], and the cell [groups] of each group's mark."""
    side, dim, groups = (settings[n] for n in ("side", "dim", "groups"))
    squares = side // APART
    if squares**2 < groups:
        raise ValueError(f"side={side} has {squares**2} squares for the marks of {groups} groups; use a larger side")
    chosen = torch.randperm(squares**2, generator=generator(CPU, seed, "marks"))[:groups]
    middle = APART // 2
    places = (chosen // squares * APART + middle) * side + chosen % squares * APART + middle
    x_BTD = NOISE * normal(1, side * side, dim, seed=seed)
    for group, place in enumerate(places.tolist()):
        x_BTD[0, place, group * dim // groups : (group + 1) * dim // groups] = settings["height"]
    return x_BTD, places


def least(mixer: SubspaceAttention, x_BTD: Tensor, places: Tensor, settings: Mapping[str, Any]) -> float:
    side = settings["side"]
    around = torch.tensor([down * side + right for down in (-1, 0, 1) for right in (-1, 0, 1)])
    with torch.no_grad():
        maps = mixer.maps(x_BTD, Ctx(grid=(side, side)))[0].expand(len(places), -1)
    return float(maps.gather(1, places[:, None] + around).sum(1).min())


def across_groups(mixer: SubspaceAttention, x_BTD: Tensor, settings: Mapping[str, Any]) -> float:
    """The greatest gradient of the first group's output by another group's channels."""
    width = settings["dim"] // settings["groups"]
    x_BTD = x_BTD.clone().requires_grad_()
    y = mixer(x_BTD, Ctx(grid=(settings["side"], settings["side"])))[..., :width]
    (gradient,) = torch.autograd.grad((y * normal(*y.shape, seed=0, purpose="sum")).sum(), x_BTD)
    return float(gradient[..., width:].abs().max())
