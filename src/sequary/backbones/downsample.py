"""Halving a grid between the stages of a pyramid, with twice the width."""

from __future__ import annotations

import dataclasses

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Member
from sequary.core.ctx import Ctx
from sequary.mixers.grids import grid_of


class Downsample(Member):
    """[B, H·W, D] -> [B, ⌈H/2⌉·⌈W/2⌉, width], and the context of the smaller grid. Masked cells count as zeros."""

    width: int

    def forward(self, x_BTD: Tensor, ctx: Ctx) -> tuple[Tensor, Ctx]:
        raise NotImplementedError


def image(x_BTD: Tensor, ctx: Ctx, name: str) -> tuple[Tensor, Ctx]:
    """x as [B, D, H, W], zero where masked, and the context of the halved grid: a cell of it is real if one of its four is."""
    height, width = grid_of(ctx, x_BTD.shape[1], (2,), name)
    x = x_BTD.transpose(1, 2).unflatten(2, (height, width))
    mask = None
    if ctx.mask is not None:
        real = ctx.mask.unflatten(1, (height, width))[:, None]
        x = x * real
        mask = F.max_pool2d(real.float(), 2, ceil_mode=True).bool().flatten(1)
    half = (-(-height // 2), -(-width // 2))
    return x, dataclasses.replace(ctx, grid=half, mask=mask, positions=None)


class PatchMerging(Downsample):
    """W · LayerNorm(four neighbours side by side), 4D -> 2D without bias (Swin, section 3.1). Odd grids are filled up with zeros."""

    def __init__(self, dim: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.width = 2 * dim
        self.norm = nn.LayerNorm(4 * dim, eps=eps)
        self.reduce = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx) -> tuple[Tensor, Ctx]:
        x, after = image(x_BTD, ctx, type(self).__name__)
        x = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        # The order of the authors: (even row, even column), (odd, even), (even, odd), (odd, odd).
        x = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).permute(0, 2, 4, 5, 3, 1).flatten(3).flatten(1, 2)
        return self.reduce(self.norm(x)), after


class ConvDownsample(Downsample):
    """LayerNorm of a 3 × 3 convolution with stride 2, D -> 2D without bias (NAT, section 3.3)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.width = 2 * dim
        self.reduce = nn.Conv2d(dim, 2 * dim, 3, stride=2, padding=1, bias=False)
        self.norm = nn.LayerNorm(2 * dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx) -> tuple[Tensor, Ctx]:
        x, after = image(x_BTD, ctx, type(self).__name__)
        return self.norm(self.reduce(x).flatten(2).transpose(1, 2)), after
