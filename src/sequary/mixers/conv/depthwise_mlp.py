"""A feed-forward with a depthwise convolution between its two maps (PVTv2, Wang et al., arXiv 2106.13797, section 3.2)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.grids import grid_of, spread


class DepthwiseMLP(Mixer):
    """y = W₂ f(C W₁ x), C a k × k convolution of each channel apart with zeros at the borders; masked cells count as zeros."""

    tiny = {"ratio": 2.0}
    dims = (2,)
    packs = False
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        ratio: float = 4.0,
        hidden: int | None = None,
        kernel: int = 3,
        activation: Literal["gelu", "relu"] = "gelu",
    ) -> None:
        super().__init__()
        width = round(ratio * dim) if hidden is None else hidden
        self.activation = F.gelu if activation == "gelu" else F.relu
        self.up = nn.Linear(dim, width)
        self.conv = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.down = nn.Linear(width, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        x = spread(self.up(x_BTD).transpose(1, 2), 2, grid)
        x = self.conv(x if ctx.mask is None else x * spread(ctx.mask[:, None], 2, grid))
        return self.down(self.activation(x.flatten(2).transpose(1, 2)))
