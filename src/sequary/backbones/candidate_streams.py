"""Two streams in one sequence: the true tokens, and a candidate for what follows each of them (EBT attention).

Input [x_0 … x_{S−1}; y_0 … y_{S−1}], y_t a candidate for x_{t+1}. True tokens attend causally to true tokens; candidate t attends
to true tokens 0..t and to itself, at position t + 1. So all positions train in parallel, and no candidate sees another.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.blocks.norms import Norm, RMSNorm
from sequary.core.contracts import Backbone, Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Level, Levels
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.mixers.mlp.swiglu import SwiGLU
from sequary.ops.attend import attend
from sequary.ops.rotary import rotate


class CandidateStreams(Backbone):
    """`depth` pre-norm layers of attention over both streams and a feed-forward; [B, 2S, D] -> [B, 2S, D], normed at the end.

    `ctx.mask` [B, 2S] hides padding in both streams.
    """

    tiny = {"depth": 2, "heads": 2}

    def __init__(
        self,
        dim: int,
        *,
        depth: int,
        heads: int = 4,
        mlp: Part[Mixer] = part(SwiGLU),
        norm: Part[Norm] = part(RMSNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.heads = heads
        check_heads(dim, heads)
        self.qkv = nn.ModuleList(QKV(dim, width=dim, bias=False) for _ in range(depth))
        self.o = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(depth))
        self.mlp = nn.ModuleList(mlp.build(here.at(layer=i, depth=depth)) for i in range(depth))
        self.norms = nn.ModuleList(norm.build(here) for _ in range(2 * depth + 1))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        if x_BTD.shape[1] % 2:
            raise ValueError(f"two streams of equal length make an even number of tokens, not {x_BTD.shape[1]}")
        sees, positions = self._sees(x_BTD, ctx), self._positions(x_BTD, ctx)
        for layer, (qkv, o, mlp) in enumerate(zip(self.qkv, self.o, self.mlp, strict=True)):
            q, k, v = qkv(self.norms[2 * layer](x_BTD, ctx), None, self.heads)
            x_BTD = x_BTD + o(join(attend(rotate(q, positions), rotate(k, positions), v, sees=sees)))
            x_BTD = x_BTD + mlp(self.norms[2 * layer + 1](x_BTD, ctx), ctx)
        return (Level(self.norms[-1](x_BTD, ctx)),)

    def _sees(self, x_BTD: Tensor, ctx: Ctx) -> Tensor:
        half = x_BTD.shape[1] // 2
        past = torch.ones(half, half, dtype=torch.bool, device=x_BTD.device).tril()
        own = torch.eye(half, dtype=torch.bool, device=x_BTD.device)
        sees = torch.cat((torch.cat((past, torch.zeros_like(own)), 1), torch.cat((past, own), 1)))
        sees = sees.expand(x_BTD.shape[0], -1, -1)
        return sees if ctx.mask is None else sees & ctx.mask[:, None, :]

    def _positions(self, x_BTD: Tensor, ctx: Ctx) -> Tensor:
        """[B, 2S]: 0, 1 … over the real true tokens, and one more for each one's candidate."""
        half = x_BTD.shape[1] // 2
        true = Ctx(mask=None if ctx.mask is None else ctx.mask[:, :half])
        count = true.position_ids(x_BTD.shape[0], half, x_BTD.device)
        return torch.cat((count, count + 1), 1)
