"""Attention along one axis of a grid (Ho et al., Axial Attention in Multidimensional Transformers, arXiv 1912.12180)."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.mixers.grids import folded, grid_of, spread
from sequary.ops.attend import attend


class Lines(nn.Module):
    """Softmax attention of H heads inside every line along `axis`: N lines of n cells cost N·n². `key_width` of one head."""

    def __init__(self, dim: int, *, heads: int, axis: int, bias: bool, key_width: int | None) -> None:
        super().__init__()
        width = check_heads(dim, heads) if key_width is None else key_width
        self.heads, self.axis = heads, axis
        self.qkv = QKV(dim, width=heads * width, bias=bias)
        self.o = nn.Linear(heads * width, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx, grid: tuple[int, ...], *, causal: bool) -> Tensor:
        axis = range(1, len(grid) + 1)[self.axis]
        lines = spread(x_BTD, 1, grid).movedim(axis, -2)
        q, k, v = self.qkv(lines.flatten(0, -3), None, self.heads)
        inside = folded(ctx, lambda t: spread(t, 1, grid).movedim(axis, -1).flatten(0, -2))
        sees = inside.sees(q.shape[0], q.shape[2], x_BTD.device, causal=causal)
        y = self.o(join(attend(q, k, v, sees=sees, causal=causal and sees is None)))
        return spread(y, 0, lines.shape[:-2]).movedim(-2, axis).flatten(1, len(grid))


class AlongLines(Mixer):
    """An interface: o = softmax(q kᵀ / √K) v inside each line along `axis` of `ctx.grid` (−1: within rows, −2: within columns of an
    image). Section 3: the other axes are folded into the batch. Masked keys get no weight. Subclasses say whether it is causal."""

    tiny = {"heads": 2}
    dims = (1, 2, 3)
    orders = True
    cost = 1.5

    def __init__(
        self, dim: int, *, heads: int = 4, axis: int = -1, bias: bool = False, key_width: int | None = None
    ) -> None:
        super().__init__()
        self.dims = tuple(n for n in (1, 2, 3) if -n <= axis < n)
        self.lines = Lines(dim, heads=heads, axis=axis, bias=bias, key_width=key_width)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        return self.lines(x_BTD, ctx, grid, causal=self.causal)


class AxialAttention(AlongLines):
    """`AlongLines`, each cell reading all of its line."""


class MaskedAxialAttention(AlongLines):
    """`AlongLines`, each cell reading only itself and the cells before it on its line: causal in raster order."""

    causal = True
