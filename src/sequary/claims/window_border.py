"""Exact: attention in windows passes nothing over a window's border, unless every second block shifts its windows.

Settings: `side` of the grid, `window`, `heads`, `dim`, `depth`. System: the blocks of Swin's stages; baseline: the same blocks, with
the same weights, unshifted. Metric `gradient_across`: of all pairs of cells in different windows, the share whose gradient is not
zero. Exact part: without the shift that share is 0, while every pair inside a window has one in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.claims.exact import drawn, normal, reads
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.ctx import Ctx
from sequary.core.part import Part
from sequary.core.place import Place
from sequary.systems.vision.swin import stage


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def arms(settings: Mapping[str, Any]) -> tuple[Part[Stack], Part[Stack]]:
    """The stage of the recipe, and the same without the shift."""
    shifted = stage(settings["depth"], settings["heads"], settings["window"])
    return shifted, shifted.but(blocks__1__parts__0__shift=0)


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    apart = in_other_windows(claim.settings["side"], claim.settings["window"])
    with_shift, without = (seen(arm, claim.settings, seed) for arm in arms(claim.settings))
    across, none = (float(read[apart].double().mean()) for read in (with_shift, without))
    within = min(float(read[~apart].double().mean()) for read in (with_shift, without))
    broken = ""
    if none > 0:
        broken = f"without the shift {none:.3g} of the pairs in different windows have a gradient; none may"
    elif within < 1:
        broken = f"only {within:.3g} of the pairs inside a window have a gradient; all must"
    return Trial(seed, across, none, broken=broken, also={"within": within})


def seen(arm: Part[Stack], settings: Mapping[str, Any], seed: int) -> Tensor:
    """[T, T] bool: does a cell's output read the other cell?"""
    side, dim = settings["side"], settings["dim"]
    stack = drawn(lambda: arm.build(Place(dim)), seed)
    x_BTD = normal(1, side * side, dim, seed=seed)
    return reads(lambda x: stack(x, Ctx(grid=(side, side)))[-1].x, x_BTD, seed=seed) > 0


def in_other_windows(side: int, window: int) -> Tensor:
    """[T, T] bool, by the unshifted windows."""
    line = torch.arange(side) // window
    number = (line[:, None] * side + line[None, :]).flatten()
    return number[:, None] != number[None, :]
