"""Attention inside slices of the tokens (Shen et al., Sliced Recursive Transformer, arXiv 2111.05297, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.attend import attend
from sequary.ops.forms import chosen
from sequary.ops.row_groups import attend_row_groups


def ranks(ctx: Ctx, batch: int, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """([B, T] number of a token among the real ones of its segment, [B, T] their count)."""
    rank = Ctx(mask=ctx.mask, segments=ctx.segments).position_ids(batch, length, device)
    real = torch.ones(batch, length, dtype=torch.long, device=device) if ctx.mask is None else ctx.mask.long()
    if ctx.segments is None:
        return rank, real.sum(1, keepdim=True).expand(batch, length)
    own = ctx.segments[:, :, None] == ctx.segments[:, None, :]
    return rank, (own * real[:, None, :]).sum(-1)


def slice_of(rank: Tensor, count: Tensor, slices: int, *, strided: bool) -> Tensor:
    """The slice in which a token stands: one of `slices` runs of ⌈count / slices⌉, or every `slices`-th token if `strided`."""
    return rank % slices if strided else rank // (-(-count // slices)).clamp(min=1)


class SlicedAttention(Mixer):
    """Softmax attention inside each of `slices` slices of the real tokens: runs of neighbours, or every `slices`-th token if `strided`.

    A strided pass after a pass of runs lets all tokens meet, as the token permutation of the paper does on average. T² / slices
    products: quadratic in the length, at a fraction of the cost.
    """

    tiny = {"heads": 2, "slices": 2}
    orders = True

    def __init__(self, dim: int, *, heads: int = 4, slices: int = 2, strided: bool = False, bias: bool = True) -> None:
        super().__init__()
        check_heads(dim, heads)
        if slices < 1:
            raise ValueError(f"slices={slices}: one slice holds all tokens; use 1 or more")
        self.heads, self.slices, self.strided = heads, slices, strided
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.o = nn.Linear(dim, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.sliced(x_BTD, ctx, self.slices, strided=self.strided)

    def sliced(self, x_BTD: Tensor, ctx: Ctx, slices: int, *, strided: bool) -> Tensor:
        """With the same weights in other slices. Forms: "reference" (a mask over all pairs, which packed rows take too), "slices"."""
        q, k, v = self.qkv(x_BTD, None, self.heads)
        if slices == 1 or ctx.segments is not None or chosen("slices") == "reference":
            y_BHTV = attend(q, k, v, sees=self._mask(x_BTD, ctx, slices, strided))
        else:
            index_BGN = self._index(x_BTD, ctx, slices, strided)
            sees = (index_BGN >= 0)[:, :, None, :].expand(-1, -1, index_BGN.shape[2], -1)
            if ctx.order is not None:
                known = ctx.order.gather(1, index_BGN.clamp(min=0).flatten(1)).view_as(index_BGN)
                sees = sees & (known[:, :, None, :] <= known[..., None])
            y_BHTV = attend_row_groups(q, k, v, index_BGN, index_BGN, sees_BGQN=sees)
        return self.o(join(y_BHTV))

    def _mask(self, x_BTD: Tensor, ctx: Ctx, slices: int, strided: bool) -> Tensor | None:
        """[B, T, T], None where all see all."""
        batch, length = x_BTD.shape[:2]
        sees = ctx.sees(batch, length, x_BTD.device, causal=False)
        if slices == 1:
            return sees
        at = slice_of(*ranks(ctx, batch, length, x_BTD.device), slices, strided=strided)
        same = at[:, :, None] == at[:, None, :]
        return same if sees is None else sees & same

    def _index(self, x_BTD: Tensor, ctx: Ctx, slices: int, strided: bool) -> Tensor:
        """[B, slices, ⌈T / slices⌉] tokens of each slice, −1 where it holds fewer."""
        batch, length = x_BTD.shape[:2]
        group = torch.arange(slices, device=x_BTD.device)[:, None]
        # Tracing sees through neither −(−length // slices) nor len(), and would fix a slice of one token.
        most = (length + slices - 1) // slices + torch.compiler.is_compiling()
        inside = torch.arange(most, device=x_BTD.device)
        if ctx.mask is None:
            real = torch.full((1, 1, 1), length, device=x_BTD.device)
            tokens = torch.arange(length, device=x_BTD.device).expand(batch, length)
        else:
            real = ctx.mask.sum(1)[:, None, None]
            tokens = (~ctx.mask).long().argsort(dim=1, stable=True)
        size = -(-real // slices)
        rank = group + slices * inside if strided else group * size + inside
        there = (rank < real) & (inside < size)
        rank = rank.expand(batch, slices, most)
        found = tokens.gather(1, rank.clamp(max=length - 1).flatten(1)).view(batch, slices, most)
        return torch.where(there, found, -1)
