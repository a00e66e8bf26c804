"""The inverted bottleneck of MobileNetV2 (Sandler et al., 2018): wide, depthwise, narrow."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.grids import grid_of, spread


class InvertedBottleneck(Mixer):
    """y = W2 relu6(conv(relu6(W1 x))), conv depthwise and `kernel` × `kernel` with zeros at the borders; `ratio` · dim channels inside.

    The branch alone, without its residual and norms. Masked cells count as zeros.
    """

    dims = (2,)
    packs = False
    cost = 1.0

    def __init__(self, dim: int, *, ratio: float = 6.0, kernel: int = 3) -> None:
        super().__init__()
        width = round(ratio * dim)
        self.up, self.down = nn.Linear(dim, width), nn.Linear(width, dim)
        self.conv = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        wide = F.relu6(self.up(x_BTD))
        if ctx.mask is not None:
            wide = wide * ctx.mask[..., None]
        mixed = self.conv(spread(wide.transpose(1, 2), 2, grid)).flatten(2).transpose(1, 2)
        return self.down(F.relu6(mixed))
