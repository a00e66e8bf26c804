"""One block run several times over keys and values that are computed once (Capps, CART, arXiv 2606.01495)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import check_heads, join, split
from sequary.mixers.mlp.swiglu import SwiGLU
from sequary.ops.attend import attend
from sequary.ops.causal_attend import causal_attend
from sequary.ops.rotary import rotate


class AnchoredLoop(Recurrent):
    """H_s = x for each of `streams`; then `loops` times y = core(Σ_s α_s H_s + e_r), H ← a ⊙ (M H) + β b ⊙ y; out: the mean of H_s.

    The core is attention to the anchor and `mlp`, each behind a norm. The anchor's keys and values come from a latent of `latent`
    features (dim / 2 unless given) of x, before the first loop, and stay. 0 < a < 1 for each feature and the rows of M sum to 1,
    so that max a, which the tape hears as "radius", is the spectral radius of what is carried on. `indices` of the loops
    have an e of their own (all, unless given); later ones share the last, so that a trained block can be run longer.
    """

    tiny = {"heads": 2, "loops": 2}
    orders = True
    grows = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        loops: int = 4,
        streams: int = 2,
        latent: int | None = None,
        indices: int | None = None,
        mlp: Part[Mixer] = part(SwiGLU),
        base: float = 10_000.0,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.width, self.loops, self.base = heads, check_heads(dim, heads), loops, base
        self.last = (loops if indices is None else indices) - 1
        latent = dim // 2 if latent is None else latent
        self.anchor = nn.Sequential(nn.RMSNorm(dim), nn.Linear(dim, latent, bias=False), nn.RMSNorm(latent))
        self.k, self.v = nn.Linear(latent, dim, bias=False), nn.Linear(latent, dim, bias=False)
        self.norms = nn.ModuleList(nn.RMSNorm(dim) for _ in range(2))
        self.q, self.o = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.mlp = mlp.build(Place.here(place, dim))
        self.index = nn.Parameter(0.02 * torch.randn(self.last + 1, dim))
        self.keep, self.take = nn.Parameter(torch.full((dim,), 1.4)), nn.Parameter(torch.ones(dim))  # σ(1.4) = 0.8
        self.mix, self.write = nn.Parameter(4.0 * torch.eye(streams)), nn.Parameter(torch.ones(streams))
        self.read = nn.Parameter(torch.eye(streams)[0])  # one stream, so that they do not stay alike

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        at = ctx.position_ids(batch, length, x_BTD.device)
        k, v = self._anchored(x_BTD, at)
        return self._looped(x_BTD, k, v, at, ctx.sees(batch, length, x_BTD.device, causal=True), ctx)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return Cache.empty(batch, self.heads, self.width, self.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Cache)
        at = state.positions(ctx, x_BtD.shape[0], x_BtD.shape[1])
        state, sees = state.extend(*self._anchored(x_BtD, at), ctx)
        return self._looped(x_BtD, state.k, state.v, at, sees, ctx), state

    def _anchored(self, x_BTD: Tensor, at_BT: Tensor) -> tuple[Tensor, Tensor]:
        latent = self.anchor(x_BTD)
        return rotate(split(self.k(latent), self.heads), at_BT, base=self.base), split(self.v(latent), self.heads)

    def _looped(self, x: Tensor, k: Tensor, v: Tensor, at: Tensor, sees: Tensor | None, ctx: Ctx) -> Tensor:
        a, mix = self.keep.sigmoid(), self.mix.softmax(-1)
        ctx.tell("radius", lambda: a.max())
        h_SBTD = x.expand(len(self.write), *x.shape)
        for loop in range(self.loops):
            u = torch.einsum("s,sbtd->btd", self.read, h_SBTD) + self.index[min(loop, self.last)]
            y = self.take * self._core(u, k, v, at, sees)
            h_SBTD = a * torch.einsum("rs,sbtd->rbtd", mix, h_SBTD) + self.write[:, None, None, None] * y
        return h_SBTD.mean(0)

    def _core(self, u: Tensor, k: Tensor, v: Tensor, at: Tensor, sees: Tensor | None) -> Tensor:
        """What both branches add to u."""
        q = rotate(split(self.q(self.norms[0](u)), self.heads), at, base=self.base)
        y = self.o(join(causal_attend(q, k, v) if sees is None else attend(q, k, v, sees=sees)))
        return y + self.mlp(self.norms[1](u + y))
