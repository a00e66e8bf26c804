"""Attention from blocks to blocks with a halo (Vaswani et al., Scaling Local Self-Attention, arXiv 2103.12731, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.mixers.grids import grid_of
from sequary.mixers.groups import sees_inside
from sequary.ops.dropout import Dropout
from sequary.ops.groups import attend_groups, crossed


def blocks(
    grid: tuple[int, ...], *, block: int, halo: int, stride: int = 1, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """(queries [G, (block/stride)²] into the grid of every `stride`-th cell, keys [G, (block + 2·halo)²]), −1 outside of the grid."""
    queries: list[Tensor] = []
    keys: list[Tensor] = []
    for n in grid:
        first = torch.arange(0, n, block, device=device)[:, None]
        query = first // stride + torch.arange(block // stride, device=device)
        key = first - halo + torch.arange(block + 2 * halo, device=device)
        queries.append(torch.where(query < -(-n // stride), query, -1))
        keys.append(torch.where(key < n, key, -1).clamp(min=-1))
    return crossed(queries, [-(-n // stride) for n in grid]), crossed(keys, list(grid))


class HaloOffsets(nn.Module):
    """A learned vector of width K for each offset along each of two axes, shared by the heads; the two are added."""

    def __init__(self, width: int, *, block: int, halo: int, stride: int = 1) -> None:
        super().__init__()
        self.sizes = block, halo, stride
        rows = 2 * (block + halo) - stride
        self.rows = nn.Parameter(torch.randn(rows, width) * width**-0.5)
        self.columns = nn.Parameter(torch.randn(rows, width) * width**-0.5)

    def forward(self) -> Tensor:
        """[Q, N, K] for the queries and keys of a block."""
        block, halo, stride = self.sizes
        query = torch.arange(0, block, stride, device=self.rows.device)
        index = torch.arange(block + 2 * halo, device=self.rows.device) - query[:, None] + block - stride
        both = self.rows[index][:, None, :, None] + self.columns[index][None, :, None, :]
        return both.flatten(2, 3).flatten(0, 1)


class HaloAttention(Mixer):
    """y_t = Σ_s softmax_s(q_t·(k_s + r_{s−t}) / √K) v_s over the cells s of the block of t and of `halo` cells around it.

    The queries of a block share their keys, so keys are gathered once for `block`² queries. r is the sum of a vector for the offset
    of rows and one for that of columns. Cells outside of the grid, and masked ones, get no weight. `key_width`: K, where it is not
    dim / heads. Grids that the block does not divide are filled up with cells that no one reads.
    """

    tiny = {"heads": 2, "block": 2, "halo": 1}
    dims = (2,)
    orders = True
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        block: int = 8,
        halo: int = 3,
        key_width: int | None = None,
        bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if block < 1 or halo < 0:
            raise ValueError(f"block={block}, halo={halo}: a block has at least one cell, a halo none or more")
        width = check_heads(dim, heads) if key_width is None else key_width
        self.heads, self.block, self.halo = heads, block, halo
        self.qkv = QKV(dim, width=heads * width, bias=bias)
        self.offsets = HaloOffsets(width, block=block, halo=halo)
        self.o = nn.Linear(heads * width, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        queries, keys = blocks(grid, block=self.block, halo=self.halo, device=x_BTD.device)
        q, k, v = self.qkv(x_BTD, None, self.heads)
        sees = sees_inside(ctx, queries, keys)
        y_BHTV = attend_groups(q, k, v, queries, keys, sees_BGQN=sees, offsets_QNK=self.offsets())
        return self.dropout(self.o(join(y_BHTV)))
