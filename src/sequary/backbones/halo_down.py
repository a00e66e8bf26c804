"""Halving a grid by attention: the strided queries of HaloNet (arXiv 2103.12731, section 3.2, "attention downsampling")."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.backbones.downsample import Downsample, image
from sequary.core.ctx import Ctx
from sequary.mixers.attention.halo import HaloOffsets, blocks
from sequary.mixers.attention.projection import check_heads, join, split
from sequary.mixers.groups import sees_inside
from sequary.ops.groups import attend_groups


class HaloDown(Downsample):
    """Every second cell of every second row asks its block and the `halo` around it; `width` is 2 · dim unless given.

    `block` is counted on the finer grid and is even. A masked cell that asks counts as zero and is itself read by no one.
    """

    tiny = {"heads": 2, "block": 2, "halo": 1}

    def __init__(
        self, dim: int, *, heads: int = 4, block: int = 8, halo: int = 3, width: int | None = None, bias: bool = False
    ) -> None:
        super().__init__()
        if block % 2:
            raise ValueError(f"block={block}: halving needs an even one")
        self.heads, self.block, self.halo, self.width = heads, block, halo, 2 * dim if width is None else width
        key = check_heads(self.width, heads)
        self.q = nn.Linear(dim, self.width, bias=bias)
        self.k = nn.Linear(dim, self.width, bias=bias)
        self.v = nn.Linear(dim, self.width, bias=bias)
        self.offsets = HaloOffsets(key, block=block, halo=halo, stride=2)
        self.o = nn.Linear(self.width, self.width)

    def forward(self, x_BTD: Tensor, ctx: Ctx) -> tuple[Tensor, Ctx]:
        x_BDHW, after = image(x_BTD, ctx, type(self).__name__)
        asking = x_BDHW[..., ::2, ::2].flatten(2).transpose(1, 2)
        queries, keys = blocks(
            (x_BDHW.shape[2], x_BDHW.shape[3]), block=self.block, halo=self.halo, stride=2, device=x_BTD.device
        )
        sees = sees_inside(Ctx(mask=ctx.mask), queries, keys)
        q, k, v = (split(p, self.heads) for p in (self.q(asking), self.k(x_BTD), self.v(x_BTD)))
        y_BHTV = attend_groups(q, k, v, queries, keys, sees_BGQN=sees, offsets_QNK=self.offsets())
        return self.o(join(y_BHTV)), after
