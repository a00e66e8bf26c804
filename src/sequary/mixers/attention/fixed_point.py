"""Attention refined until its own output no longer changes it (Mathur et al., Change of Thought, arXiv 2507.13569)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import check_heads, split
from sequary.ops.fixed_point_attend import fixed_point_attend


class FixedPointAttention(Mixer):
    """y = W_o Z, Z the fixed point of Z ← softmax(Q(x + Z) K(x + Z)ᵀ / √K) V(x), over all real tokens, or what `ctx.order` lets t see.

    The first round, from Z = 0, is plain attention. Without x in the scores the mean of V would always be a fixed point. Rounds end
    where no token that t sees moves by more than `eps` of its size, or after `most`. Gradients are those of the fixed point. The tape
    hears "rounds" [B, T]. Knows no positions.
    """

    tiny = {"heads": 2, "eps": 1e-14, "most": 200}
    exempt = {
        "forms": "(I − J)⁻¹ = Σ J^i is the gradient of many rounds where ‖J‖ < 1 alone; J = ∂f/∂Z grows as x² and is beyond 1 at size 30"
    }
    orders = True

    def __init__(self, dim: int, *, heads: int = 4, eps: float = 1e-3, most: int = 30) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads, self.eps, self.most = heads, eps, most
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim, bias=False) for _ in range(4))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        sees = ctx.sees(batch, length, x_BTD.device, causal=False)
        if sees is None:
            sees = torch.ones(batch, length, length, dtype=torch.bool, device=x_BTD.device)
        v = split(self.v(x_BTD), self.heads)
        z, rounds = fixed_point_attend(x_BTD, self.q.weight, self.k.weight, v, sees, self.eps, self.most)
        ctx.tell("rounds", lambda: rounds)
        return self.o(z)
