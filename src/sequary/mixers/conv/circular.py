"""A depthwise convolution around the borders: positions that move with the image (Ding et al., arXiv 2306.07470, section 3.3)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.grids import grid_of, spread


class CircularConv(Mixer):
    """y = C x, C a k × k convolution of each channel apart on a grid whose borders meet; masked cells count as zeros."""

    dims = (2,)
    packs = False
    cost = 1.0

    def __init__(self, dim: int, *, kernel: int = 3) -> None:
        super().__init__()
        self.reach = kernel // 2
        self.conv = nn.Conv2d(dim, dim, kernel, groups=dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        x = spread(x_BTD.transpose(1, 2), 2, grid)
        x = x if ctx.mask is None else x * spread(ctx.mask[:, None], 2, grid)
        return self.conv(F.pad(x, (self.reach,) * 4, mode="circular")).flatten(2).transpose(1, 2)
