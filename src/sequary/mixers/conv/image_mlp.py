"""A feed-forward of two convolutions over an image, as in the `axial-attention` package."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.grids import grid_of, spread


class ConvMLP(Mixer):
    """y = C2 leaky_relu(C1 x), k × k convolutions with zeros at the borders; hidden width `ratio` · dim. Masked cells count as zeros."""

    dims = (2,)
    packs = False
    cost = 1.0

    def __init__(self, dim: int, *, ratio: float = 4.0, kernel: int = 3, slope: float = 0.01) -> None:
        super().__init__()
        width = round(ratio * dim)
        self.slope = slope
        self.up = nn.Conv2d(dim, width, kernel, padding=kernel // 2)
        self.down = nn.Conv2d(width, dim, kernel, padding=kernel // 2)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        real = None if ctx.mask is None else spread(ctx.mask[:, None], 2, grid)
        x = spread(x_BTD.transpose(1, 2), 2, grid)
        x = F.leaky_relu(self.up(x if real is None else x * real), self.slope)
        return self.down(x if real is None else x * real).flatten(2).transpose(1, 2)
