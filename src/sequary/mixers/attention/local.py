"""Causal attention over the last few tokens: a sliding window (Beltagy et al., Longformer, arXiv 2004.05150, section 3.1)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.block_attend import reading, run_attend
from sequary.ops.rotary import rotate


def marks(ctx: Ctx, batch: int, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(real [B, T] bool, segment [B, T] int), all true and all 0 where `ctx` says nothing."""
    ones = torch.ones(batch, length, dtype=torch.bool, device=device)
    return ones if ctx.mask is None else ctx.mask, ones.long() - 1 if ctx.segments is None else ctx.segments


def counted(ctx: Ctx, real_BT: Tensor, start_B: Tensor) -> Tensor:
    """[B, T] positions: as given, else real tokens counted on from `start`."""
    count = real_BT.long().cumsum(1)
    return start_B[:, None] + count - real_BT.long() if ctx.positions is None else ctx.positions


@dataclasses.dataclass(frozen=True, slots=True)
class Kept(State):
    """Keys [B, H, S, K] and values [B, H, S, V] of some earlier tokens, in order; `real` [B, S], `segment` [B, S], `count` [B]."""

    k: Tensor
    v: Tensor
    real: Tensor
    segment: Tensor
    count: Tensor
    """Real tokens so far."""

    @staticmethod
    def empty(batch: int, heads: int, slots: int, width: int, like: Tensor) -> Kept:
        none = like.new_zeros(batch, slots)
        k, v = (like.new_zeros(batch, heads, slots, width) for _ in range(2))
        return Kept(k, v, none.bool(), none.long(), like.new_zeros(batch, dtype=torch.long))


class CausalLocalAttention(Recurrent):
    """o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over t − window < s <= t; linear in the length, with a state that does not grow.

    `base`: of the rotary angles of queries and keys; None for no positions. `width` of one head: dim / heads unless given.
    """

    tiny = {"heads": 2, "window": 3}
    cost = 1.0

    def __init__(
        self, dim: int, *, heads: int = 4, window: int = 64, width: int | None = None, base: float | None = 10_000.0
    ) -> None:
        super().__init__()
        self.heads, self.window, self.base = heads, window, base
        self.width = check_heads(dim, heads) if width is None else width
        self.qkv = QKV(dim, width=heads * self.width, bias=False)
        self.o = nn.Linear(heads * self.width, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        real, segment = marks(ctx, x_BTD.shape[0], x_BTD.shape[1], x_BTD.device)
        q, k, v = self._project(x_BTD, counted(ctx, real, real.new_zeros(len(real), dtype=torch.long)))
        o, _ = run_attend(q, k, v, width=self.window, run_BhT=segment[:, None], real_BhT=real[:, None])
        return self.o(join(o))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Kept:
        return Kept.empty(batch, self.heads, self.window - 1, self.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Kept)
        new, last = x_BtD.shape[1], self.window - 1
        real, segment = marks(ctx, x_BtD.shape[0], new, x_BtD.device)
        q, k, v = self._project(x_BtD, counted(ctx, real, state.count))
        k, v = torch.cat((state.k, k), 2), torch.cat((state.v, v), 2)
        real_BS, segment_BS = torch.cat((state.real, real), 1), torch.cat((state.segment, segment), 1)
        back = torch.arange(last, last + new, device=k.device)[:, None] - torch.arange(last + new, device=k.device)
        sees = (back >= 0) & (back < self.window) & real_BS[:, None] & (segment_BS[:, None] == segment[..., None])
        o, _ = reading(q, k, v, sees[:, None])
        kept = Kept(k[:, :, new:], v[:, :, new:], real_BS[:, new:], segment_BS[:, new:], state.count + real.sum(1))
        return self.o(join(o)), kept

    def _project(self, x_BTD: Tensor, positions_BT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.qkv(x_BTD, None, self.heads)
        if self.base is not None:
            q, k = rotate(q, positions_BT, base=self.base), rotate(k, positions_BT, base=self.base)
        return q, k, v
