"""Attention whose heads together are narrower or wider than the model, as some sources allow."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import join
from sequary.ops.attend import attend, weights


class NarrowAttention(Mixer):
    """Bidirectional attention of `heads` heads of `width` features each: o_t = Σ_s softmax_s(q_t·k_s / √width) v_s."""

    orders = True

    def __init__(self, dim: int, *, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.ModuleDict({name: nn.Linear(dim, heads * width) for name in "qkv"})
        self.o = nn.Linear(heads * width, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q, k, v = (self.qkv[name](x_BTD).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name in "qkv")
        sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=False)
        ctx.tell("attention", lambda: weights(q, k, sees=sees))
        return self.o(join(attend(q, k, v, sees=sees)))
