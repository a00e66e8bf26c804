"""Exact: what neighbourhood attention computes moves with its input in the interior; attention in fixed windows does not.

Settings: `side` of the grid, `kernel`, `heads`, `dim`, `depth`. System: the blocks of NAT's stages; baseline: those of Swin, windows as
wide as the kernel, every second one shifted. Metric `shift_error`: max|f(moved x) − moved f(x)| / max(1, max|f(x)|) over the cells
from which no border is reached; all shifts of 1 to kernel − 1 cells along either axis: the worst for the system, the best for the
baseline. Exact parts: the system's error is at most `tolerance`; without position bias, a kernel as wide as the side is full attention.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from sequary.backbones.stack import Stack
from sequary.claims.exact import distance, drawn, normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.ctx import Ctx
from sequary.core.part import Part
from sequary.core.place import Place
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.neighbourhood import NeighbourhoodAttention
from sequary.systems.vision import nat_neighborhood, swin


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def arms(settings: Mapping[str, Any]) -> tuple[Part[Stack], Part[Stack]]:
    sizes = settings["depth"], settings["heads"], settings["kernel"]
    return nat_neighborhood.stage(*sizes), swin.stage(*sizes)


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    system, baseline = (shift_errors(arm, claim.settings, seed) for arm in arms(claim.settings))
    limit = full_attention_error(claim.settings, seed)
    tolerance, broken = claim.settings["tolerance"], ""
    if max(system) > tolerance:
        broken = f"the interior moves with the input only to {max(system):.2e}; {tolerance:.0e} is asked for"
    elif limit > tolerance:
        broken = f"a kernel as wide as the side is {limit:.2e} from full attention; {tolerance:.0e} is asked for"
    return Trial(seed, max(system), min(baseline), broken=broken, also={"full_attention_error": limit})


def shift_errors(arm: Part[Stack], settings: Mapping[str, Any], seed: int) -> list[float]:
    """For each shift along the rows, then along the columns."""
    side, kernel, dim = settings["side"], settings["kernel"], settings["dim"]
    reach, grid = settings["depth"] * (kernel // 2), (side, side)
    stack = drawn(lambda: arm.build(Place(dim)), seed)
    image = normal(1, side + kernel - 1, side + kernel - 1, dim, seed=seed)
    found: list[float] = []
    with torch.no_grad():
        base = stack(image[:, :side, :side].flatten(1, 2), Ctx(grid=grid))[-1].x.unflatten(1, grid)
        for down, right in [(s, 0) for s in range(1, kernel)] + [(0, s) for s in range(1, kernel)]:
            window = image[:, down : down + side, right : right + side]
            moved = stack(window.flatten(1, 2), Ctx(grid=grid))[-1].x.unflatten(1, grid)
            rows, columns = (slice(reach, side - reach - by) for by in (down, right))
            there = base[:, reach + down : side - reach, reach + right : side - reach]
            found.append(distance(moved[:, rows, columns], there))
    return found


def full_attention_error(settings: Mapping[str, Any], seed: int) -> float:
    """Between both attentions with the same weights."""
    side, dim, heads = settings["kernel"], settings["dim"], settings["heads"]
    near = drawn(lambda: NeighbourhoodAttention(dim, heads=heads, kernel=side, relative=False), seed)
    full = Attention(dim, heads=heads).double()
    full.load_state_dict(near.state_dict())
    x_BTD = normal(2, side * side, dim, seed=seed, purpose="full")
    with torch.no_grad():
        return distance(near(x_BTD, Ctx(grid=(side, side))), full(x_BTD))
