"""Attention inside windows, plain or shifted (Liu et al., Swin Transformer, arXiv 2103.14030, sections 3.2 and eq. 4)."""

from __future__ import annotations

import dataclasses
import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.mixers.attention.relative_bias import RelativeBias
from sequary.mixers.grids import folded, grid_of, spread
from sequary.ops.attend import attend
from sequary.ops.dropout import Dropout


class WindowAttention(Mixer):
    """Softmax attention with a relative position bias inside windows of `window` cells a side; linear in the number of cells.

    `shift` s > 0: the grid is rolled by −s on each axis first, and inside a window only cells that were neighbours before the
    roll see each other. An axis that the window covers is one window, unshifted. A grid that the window does not divide is
    filled up with cells that no one reads. `scale`: 1/√K unless given. Masked keys get no weight.
    """

    tiny = {"heads": 2, "window": 2, "shift": 1}
    dims = (2,)
    orders = True
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        window: int = 7,
        shift: int = 0,
        axes: int = 2,
        bias: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= shift < window:
            raise ValueError(f"shift={shift} must lie in 0..window−1 = {window - 1}; the paper takes window // 2")
        check_heads(dim, heads)
        self.heads, self.window, self.shift, self.scale = heads, window, shift, scale
        self.dims = (axes,)
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.relative = RelativeBias(heads, window, axes)
        self.o = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        sides = [min(self.window, n) for n in grid]
        shifts = [self.shift if n > self.window else 0 for n in grid]
        x_BWND = cut(x_BTD, grid, sides, shifts)
        q, k, v = self.qkv(x_BWND.flatten(0, 1), None, self.heads)
        sees = self._sees(x_BTD, ctx, grid, sides, shifts)
        y = self.o(join(attend(q, k, v, sees=sees, bias=self._bias(sides, x_BTD.device), scale=self.scale)))
        return self.dropout(paste(y.view(x_BWND.shape), grid, sides, shifts))

    def _sees(
        self, x_BTD: Tensor, ctx: Ctx, grid: tuple[int, ...], sides: list[int], shifts: list[int]
    ) -> Tensor | None:
        """[B·W, N, N] bool, None where every cell of a window sees all of it."""
        if ctx.mask is None and any(n % w for n, w in zip(grid, sides, strict=True)):
            ctx = dataclasses.replace(ctx, mask=torch.ones(x_BTD.shape[:2], dtype=torch.bool, device=x_BTD.device))
        inside = folded(ctx, lambda t: cut(t[..., None], grid, sides, shifts)[..., 0].flatten(0, 1))
        region_WN = regions(grid, sides, shifts, x_BTD.device)
        rows, cells = x_BTD.shape[0] * region_WN.shape[0], region_WN.shape[1]
        sees = inside.sees(rows, cells, x_BTD.device, causal=False)
        if not any(shifts):
            return sees
        near = (region_WN[:, :, None] == region_WN[:, None, :]).repeat(x_BTD.shape[0], 1, 1)
        return near if sees is None else sees & near

    def _bias(self, sides: list[int], device: torch.device) -> Tensor:
        """[H, N, N] for the cells of a window."""
        cells = torch.cartesian_prod(*(torch.arange(n, device=device) for n in sides)).view(-1, len(sides))
        index = self.relative.index(cells[None, :, :] - cells[:, None, :])
        flat = index[..., 0]
        for axis in range(1, len(sides)):
            flat = flat * (2 * self.window - 1) + index[..., axis]
        return self.relative(flat)


def cut(x_BTD: Tensor, grid: tuple[int, ...], sides: list[int], shifts: list[int]) -> Tensor:
    """[B, T, D] -> [B, windows, cells, D], filled up with zeros at the end of each axis and rolled by −shift."""
    x = spread(x_BTD, 1, grid)
    x = F.pad(x, (0, 0, *itertools.chain(*((0, -n % w) for n, w in zip(reversed(grid), reversed(sides), strict=True)))))
    x = x.roll([-s for s in shifts], list(range(1, len(grid) + 1)))
    for axis, w in enumerate(sides):
        x = spread(x, 1 + 2 * axis, (-1, w))
    outer = [1 + 2 * a for a in range(len(grid))]
    x = x.permute(0, *outer, *(a + 1 for a in outer), x.dim() - 1)
    return x.flatten(1, len(grid)).flatten(2, 1 + len(grid))


def paste(x_BWND: Tensor, grid: tuple[int, ...], sides: list[int], shifts: list[int]) -> Tensor:
    """The inverse of `cut`."""
    counts = [-(-n // w) for n, w in zip(grid, sides, strict=True)]
    x = spread(spread(x_BWND, 2, sides), 1, counts)
    x = x.permute(0, *itertools.chain(*((1 + a, 1 + a + len(grid)) for a in range(len(grid)))), x.dim() - 1)
    for axis in range(len(grid)):
        x = x.flatten(1 + axis, 2 + axis)
    x = x.roll(shifts, list(range(1, len(grid) + 1)))
    for axis, n in enumerate(grid):
        x = x.narrow(1 + axis, 0, n)
    return x.flatten(1, len(grid))


def regions(grid: tuple[int, ...], sides: list[int], shifts: list[int], device: torch.device) -> Tensor:
    """[windows, cells] int: cells of a window with different numbers lay at opposite borders before the roll."""
    number = torch.zeros((1,) * len(grid), dtype=torch.long, device=device)
    lengths = [-(-n // w) * w for n, w in zip(grid, sides, strict=True)]
    for axis, (n, s) in enumerate(zip(lengths, shifts, strict=True)):
        wrapped = (torch.arange(n, device=device) >= n - s).long()
        number = number * 2 + wrapped.view(*(-1 if a == axis else 1 for a in range(len(grid))))
    return cut(number.reshape(1, -1, 1), tuple(lengths), sides, [0] * len(grid))[0, ..., 0]
