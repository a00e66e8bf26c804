"""Cross-attention: queries from the sequence, keys and values from a memory (Vaswani et al., 2017, section 3.2.3)."""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx, Memory
from sequary.core.state import State
from sequary.mixers.attention.projection import QKV, check_heads, join, split
from sequary.ops.attend import attend, weights


@dataclasses.dataclass(frozen=True, slots=True)
class CrossState(State):
    """Keys and values [B, H, S, K] of the memory, computed once; `real` [B, S]."""

    k: Tensor
    v: Tensor
    real: Tensor | None

    def can_rewind(self) -> bool:
        return True

    def rewind(self, length: int) -> CrossState:
        return self


class CrossAttention(Recurrent):
    """o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over the real tokens of `ctx.memory` [B, S, memory_dim].

    Each token reads the memory alone, so it is causal in its own sequence, and its state is the memory's keys and values.
    """

    remembers = True
    cost = 1.0

    def __init__(self, dim: int, *, heads: int = 4, bias: bool = True, memory_dim: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        check_heads(dim, heads)
        self.qkv = QKV(dim, width=dim, bias=bias, source_dim=memory_dim)
        self.o = nn.Linear(dim, dim, bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        state = self.init_state(x_BTD.shape[0], ctx)
        return self.step(x_BTD, state, ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> CrossState:
        memory = self._memory(ctx)
        k, v = split(self.qkv.k(memory.tokens), self.heads), split(self.qkv.v(memory.tokens), self.heads)
        return CrossState(k, v, memory.mask)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, CrossState)
        q = split(self.qkv.q(x_BtD), self.heads)
        sees = None if state.real is None else state.real[:, None, None, :].expand(-1, 1, q.shape[2], -1)
        ctx.tell("cross_attention", lambda: weights(q, state.k, sees=sees))
        return self.o(join(attend(q, state.k, state.v, sees=sees))), state

    def _memory(self, ctx: Ctx) -> Memory:
        if ctx.memory is None:
            raise ValueError("CrossAttention needs ctx.memory (tokens [B, S, memory_dim]); none was given")
        return ctx.memory
