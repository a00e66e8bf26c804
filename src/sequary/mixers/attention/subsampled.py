"""Attention to a sampled map (Chu et al., Twins, arXiv 2104.13840, section 3.3, "global sub-sampled attention")."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.mixers.grids import grid_of, spread
from sequary.ops.attend import attend


class SubsampledAttention(Mixer):
    """Every cell attends to LayerNorm(conv(x)), a stride × stride convolution of squares side by side: T²/stride² products.

    Masked cells count as zeros; a square with no real cell is read by no one. Sides are filled up with zeros to whole squares.
    """

    tiny = {"heads": 2, "stride": 2}
    dims = (2,)
    packs = False

    def __init__(self, dim: int, *, heads: int = 4, stride: int = 2, bias: bool = True) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads, self.stride = heads, stride
        self.sample = nn.Conv2d(dim, dim, stride, stride=stride)
        self.norm = nn.LayerNorm(dim)
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.o = nn.Linear(dim, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid, s = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__), self.stride
        fill = (0, -grid[1] % s, 0, -grid[0] % s)
        real = x_BTD if ctx.mask is None else x_BTD * ctx.mask[..., None]
        few_BSD = self.norm(self.sample(F.pad(spread(real.transpose(1, 2), 2, grid), fill)).flatten(2).transpose(1, 2))
        sees = None
        if ctx.mask is not None:
            held = F.max_pool2d(F.pad(spread(ctx.mask[:, None], 2, grid).to(x_BTD.dtype), fill), s)
            sees = (held > 0).flatten(2).expand(-1, x_BTD.shape[1], -1)
        q, k, v = self.qkv(x_BTD, few_BSD, self.heads)
        return self.o(join(attend(q, k, v, sees=sees)))
