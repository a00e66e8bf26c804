"""Residual attention: each layer adds its scores to those of the layer before, and softmax acts on the sum.

RealFormer (He et al., 2020, eq. 4), as PatchTST's code has it by default. The scores run beside the residual stream, which
is why this is a backbone and not a block.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.blocks.norms import LayerNorm, Norm
from sequary.core.contracts import Backbone
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Level, Levels
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.mixers.mlp.dense import MLP
from sequary.ops.dropout import Dropout


class ResidualScores(Backbone):
    """`depth` post-norm layers of H-head attention, s_l = q kᵀ/√K + s_{l−1}, and a feed-forward."""

    tiny = {"depth": 2, "heads": 2}

    def __init__(
        self,
        dim: int,
        *,
        depth: int,
        heads: int = 4,
        mlp: Part[MLP] = part(MLP),
        norm: Part[Norm] = part(LayerNorm),
        dropout: float = 0.0,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.heads, self.width = heads, check_heads(dim, heads)
        self.qkv = nn.ModuleList(QKV(dim, width=dim, bias=True) for _ in range(depth))
        self.o = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))
        self.mlp = nn.ModuleList(mlp.build(here) for _ in range(depth))
        self.norms = nn.ModuleList(norm.build(here) for _ in range(2 * depth))
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=False)
        scores = x_BTD.new_zeros(())
        for layer, (qkv, o, mlp) in enumerate(zip(self.qkv, self.o, self.mlp, strict=True)):
            q, k, v = qkv(x_BTD, None, self.heads)
            scores = scores + q @ k.transpose(-1, -2) * self.width**-0.5
            weights = self._weights(scores, sees)
            x_BTD = self.norms[2 * layer](x_BTD + self.dropout(o(join(weights @ v))), ctx)
            x_BTD = self.norms[2 * layer + 1](x_BTD + mlp(x_BTD, ctx), ctx)
        return (Level(x_BTD, ctx.grid),)

    def _weights(self, scores_BHTS: Tensor, sees_BTS: Tensor | None) -> Tensor:
        if sees_BTS is None:
            return scores_BHTS.softmax(-1)
        allowed = sees_BTS[:, None]
        return scores_BHTS.masked_fill(~allowed, torch.finfo(scores_BHTS.dtype).min).softmax(-1) * allowed
