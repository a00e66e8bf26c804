"""Attention in groups of equal size along a path through windows (Liu et al., FlatFormer, arXiv 2301.08739, section 3)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.projection import check_heads, join, split
from sequary.mixers.grids import grid_of
from sequary.ops.attend import attend
from sequary.ops.forms import chosen
from sequary.ops.row_groups import attend_row_groups

Axis = Literal["x", "y"]
PATHS: tuple[tuple[Axis, bool], ...] = (("x", False), ("x", True), ("y", False), ("y", True))
"""(axis, shift) of the layers, which take them in turn."""


def path(grid: tuple[int, int], window: tuple[int, int], axis: Axis, *, shift: bool, device: torch.device) -> Tensor:
    """[T] keys: sorted by them, the cells of a grid (rows, columns) stand window by window, to and fro in windows as between them.

    "x": rows of windows in turn, their windows along x, in a window its columns in turn; "y": the same with the axes exchanged.
    `window` is (wide, tall); `shift` moves the windows by half of one.
    """
    rows, columns = torch.meshgrid(*(torch.arange(n, device=device) for n in grid), indexing="ij")
    places, sizes, counts = [columns.flatten(), rows.flatten()], list(window), [grid[1], grid[0]]
    if axis == "y":
        places, sizes, counts = places[::-1], sizes[::-1], counts[::-1]
    (a, b), (wide, tall) = (p + (w // 2 if shift else 0) for p, w in zip(places, sizes, strict=True)), sizes
    forth = 1 - 2 * (b // tall % 2)
    inside = a % wide
    turn = forth * (1 - 2 * (inside % 2))
    key = b // tall * 2 * (counts[0] // wide + 2) + forth * (a // wide)
    return (key * 2 * wide + forth * inside) * 2 * tall + turn * (b % tall)


class CellWaves(nn.Module):
    """A code of places: sin and cos of x and then of y, dim/4 frequencies each from 1 down to 1/temperature, the rest zeros."""

    def __init__(self, dim: int, *, temperature: float = 10000.0) -> None:
        super().__init__()
        self.dim, self.temperature = dim, temperature

    def forward(self, grid: tuple[int, int], like: Tensor) -> Tensor:
        """[T, dim] for the cells of a grid."""
        count = self.dim // 4
        slow = self.temperature ** (torch.arange(count, device=like.device, dtype=torch.float64) / max(count, 1))
        rows, columns = torch.meshgrid(*(torch.arange(n, device=like.device) for n in grid), indexing="ij")
        angles = [place.flatten()[:, None] / slow for place in (columns, rows)]
        code = torch.cat([torch.stack((angle.sin(), angle.cos()), -1).flatten(1) for angle in angles], -1)
        return F.pad(code, (0, self.dim - code.shape[1])).to(like.dtype)


class FlatWindowAttention(Mixer):
    """Real cells sorted by `path` are cut into groups of exactly `group`; q = k = x + place, v = x, softmax attention in each group.

    The last group reaches back, so that it is full too: with n cells the group of the one of rank r starts at
    min(⌊r / group⌋ · group, n − group). Masked (empty) cells stand in no group. `window` is (wide, tall).
    """

    tiny = {"heads": 2, "window": (2, 2), "group": 5}
    dims = (2,)
    packs = False
    orders = True
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        window: tuple[int, int] = (9, 9),
        group: int = 64,
        axis: Axis = "x",
        shift: bool = False,
        code: Part[CellWaves] = part(CellWaves),
    ) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads, self.window, self.group, self.shift = heads, window, group, shift
        self.axis: Axis = axis
        self.code = code.build(Place(dim))
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        rows, columns = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        grid = (rows, columns)
        placed = x_BTD + self.code(grid, x_BTD)
        q, k, v = (split(y, self.heads) for y in (self.q(placed), self.k(placed), self.v(x_BTD)))
        key = path(grid, self.window, self.axis, shift=self.shift, device=x_BTD.device)
        order, count = self.sorted(x_BTD, ctx, key)
        if chosen("groups") == "reference":
            return self.o(join(attend(q, k, v, sees=self._mask(ctx, order, count))))
        queries, keys = self.groups(order, count)
        sees = (keys >= 0)[:, :, None, :].expand(-1, -1, self.group, -1)
        if ctx.order is not None:
            known = [ctx.order.gather(1, index.clamp(min=0).flatten(1)).view_as(index) for index in (queries, keys)]
            sees = sees & (known[1][:, :, None, :] <= known[0][..., None])
        return self.o(join(attend_row_groups(q, k, v, queries, keys, sees_BGQN=sees)))

    def sorted(self, x_BTD: Tensor, ctx: Ctx, key: Tensor) -> tuple[Tensor, Tensor]:
        """([B, T] cells along the path, the empty ones last; [B, 1] how many are real)."""
        if ctx.mask is None:
            batch, length = x_BTD.shape[:2]
            return key.argsort().expand(batch, length), torch.full((batch, 1), length, device=x_BTD.device)
        last = torch.where(ctx.mask, key, key.max() + 1)
        return last.argsort(dim=1, stable=True), ctx.mask.sum(1, keepdim=True)

    def groups(self, order: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """(queries, keys) [B, G, group] cells, −1 beyond the real ones."""
        number = torch.arange(-(-order.shape[1] // self.group), device=order.device)
        own = (number * self.group).expand(len(order), -1)
        return self._from(order, count, own), self._from(order, count, torch.minimum(own, self._latest(count)))

    def _latest(self, count: Tensor) -> Tensor:
        """Where the last group starts."""
        return (count - self.group).clamp(min=0)

    def _from(self, order: Tensor, count: Tensor, first_BG: Tensor) -> Tensor:
        """The cells of `group` ranks from `first_BG` on."""
        rank = first_BG[..., None] + torch.arange(self.group, device=order.device)
        found = order.gather(1, rank.clamp(max=order.shape[1] - 1).flatten(1)).view_as(rank)
        return torch.where(rank < count[..., None], found, -1)

    def _mask(self, ctx: Ctx, order: Tensor, count: Tensor) -> Tensor:
        """[B, T, T]: the same by a mask over all pairs of cells."""
        rank = order.argsort(1)
        start = torch.minimum(rank // self.group * self.group, self._latest(count))[..., None]
        sees = (rank[:, None, :] >= start) & (rank[:, None, :] < start + self.group) & (rank < count)[:, None, :]
        return sees if ctx.order is None else sees & (ctx.order[:, None, :] <= ctx.order[:, :, None])
