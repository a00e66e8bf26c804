"""Attention with a small feed-forward inside, on each head apart (Zheng et al., PartialFormer, arXiv 2310.14921)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import join, split
from sequary.mixers.attention.score_heads import OwnScores, ScoreHeads
from sequary.mixers.mlp.activations import Activation, ReLU
from sequary.ops.rotary import rotate


class PartialAttention(Recurrent):
    """a_h = Σ_s softmax_s(scores_h) v_h,s; y = W_o (join_h(a_h + F2 f(F1 a_h)) ⊙ relu(W_u x)), causal or by `ctx.order`.

    `heads` of `width` features for values and gate; the feed-forward F, `ratio` · width wide inside, is shared by the heads. `scores`
    says where a head's scores come from. `base`: of the rotary angles; None for no positions. It is attention and feed-forward in one.
    """

    tiny = {"heads": 3, "width": 6}
    orders = True
    grows = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 8,
        width: int = 16,
        ratio: float = 2.0,
        scores: Part[ScoreHeads] = part(OwnScores),
        activation: Part[Activation] = part(ReLU),
        base: float | None = 10_000.0,
    ) -> None:
        super().__init__()
        self.heads, self.width, self.base = heads, width, base
        self.scores = scores.build(Place(heads))
        self.q, self.k = (nn.Linear(dim, self.scores.inputs * width) for _ in range(2))
        self.v, self.u = nn.Linear(dim, heads * width), nn.Linear(dim, heads * width)
        hidden = int(ratio * width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.activation = activation.build(Place(hidden))
        self.o = nn.Linear(heads * width, dim)

    def project(self, x_BtD: Tensor, at_Bt: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k [B, h, t, K], turned by their positions, and v [B, H, t, K]."""
        q, k = (split(f(x_BtD), self.scores.inputs) for f in (self.q, self.k))
        if self.base is not None:
            q, k = rotate(q, at_Bt, base=self.base), rotate(k, at_Bt, base=self.base)
        return q, k, split(self.v(x_BtD), self.heads)

    def weights(self, scores_BHTS: Tensor, sees_BTS: Tensor) -> Tensor:
        allowed = sees_BTS[:, None]
        filled = scores_BHTS.masked_fill(~allowed, torch.finfo(scores_BHTS.dtype).min)
        wide = torch.promote_types(filled.dtype, torch.float32)
        return filled.softmax(-1, dtype=wide).to(filled.dtype) * allowed

    def out(self, weights_BHTS: Tensor, v_BHSK: Tensor, x_BTD: Tensor) -> Tensor:
        return self.o(self.fed(weights_BHTS @ v_BHSK) * F.relu(self.u(x_BTD)))

    def fed(self, a_BHTK: Tensor) -> Tensor:
        """[B, T, H·K]."""
        return join(a_BHTK + self.down(self.activation(self.up(a_BHTK))))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q, k, v = self.project(x_BTD, ctx.position_ids(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device))
        weights_BHTS = self.weights(self.scores(q, k), seen(x_BTD, ctx))
        ctx.tell("attention", lambda: weights_BHTS)
        return self.out(weights_BHTS, v, x_BTD)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        none = self.o.weight.new_zeros(batch, self.heads, 0, self.width)
        return Cache(none[:, :1].expand(-1, self.scores.inputs, -1, -1), none)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Cache)
        q, k, v = self.project(x_BtD, state.positions(ctx, x_BtD.shape[0], x_BtD.shape[1]))
        state, sees = state.extend(k, v, ctx)
        return self.out(self.weights(self.scores(q, state.k), sees), state.v, x_BtD), state


def seen(x_BTD: Tensor, ctx: Ctx) -> Tensor:
    """[B or 1, T, T]."""
    length = x_BTD.shape[1]
    sees = ctx.sees(x_BTD.shape[0], length, x_BTD.device, causal=True)
    return torch.ones(1, length, length, dtype=torch.bool, device=x_BTD.device).tril() if sees is None else sees
