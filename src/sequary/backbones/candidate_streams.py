"""Two streams in one sequence: the true tokens, and a candidate for what follows each of them (EBT attention).

x_0 … x_{S−1} and y_0 … y_{S−1}, y_t a candidate for x_{t+1}. True tokens attend causally to true tokens; candidate t attends
to true tokens 0..t and to itself, at position t + 1. So all positions train in parallel, and no candidate sees another.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.blocks.norms import Norm, RMSNorm
from sequary.core.contracts import Member, Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.mixers.mlp.swiglu import SwiGLU
from sequary.ops.attend import attend
from sequary.ops.rotary import rotate


class CandidateStreams(Member):
    """`depth` pre-norm layers of attention over both streams and a feed-forward, a norm at the end; no backbone, since it takes
    two sequences: true [B, S, D] and candidates [B, S, D] -> candidates [B, S, D]. `ctx.mask` [B, S] hides padding in both.
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

    def forward(self, true_BSD: Tensor, candidates_BSD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        sees, positions = self._sees(true_BSD, ctx), self._positions(true_BSD, ctx)
        x_BTD, both = torch.cat((true_BSD, candidates_BSD), 1), Ctx(tape=ctx.tape, rng=ctx.rng)
        for layer, (qkv, o, mlp) in enumerate(zip(self.qkv, self.o, self.mlp, strict=True)):
            q, k, v = qkv(self.norms[2 * layer](x_BTD, both), None, self.heads)
            x_BTD = x_BTD + o(join(attend(rotate(q, positions), rotate(k, positions), v, sees=sees)))
            x_BTD = x_BTD + mlp(self.norms[2 * layer + 1](x_BTD, both), both)
        return self.norms[-1](x_BTD[:, true_BSD.shape[1] :], both)

    def _sees(self, true_BSD: Tensor, ctx: Ctx) -> Tensor:
        """[B, 2S, 2S] bool."""
        length, device = true_BSD.shape[1], true_BSD.device
        past = torch.ones(length, length, dtype=torch.bool, device=device).tril()
        own = torch.eye(length, dtype=torch.bool, device=device)
        sees = torch.cat((torch.cat((past, torch.zeros_like(own)), 1), torch.cat((past, own), 1)))
        sees = sees.expand(true_BSD.shape[0], -1, -1)
        return sees if ctx.mask is None else sees & ctx.mask.repeat(1, 2)[:, None, :]

    def _positions(self, true_BSD: Tensor, ctx: Ctx) -> Tensor:
        """[B, 2S]: 0, 1 … over the real true tokens, and one more for each one's candidate."""
        count = ctx.position_ids(true_BSD.shape[0], true_BSD.shape[1], true_BSD.device)
        return torch.cat((count, count + 1), 1)
