"""Causal attention over the segment and a memory of the one before, by relative positions (Dai et al., Transformer-XL, 1901.02860)."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.attend import attend


@dataclasses.dataclass(frozen=True, slots=True)
class SegmentState(State):
    """Keys and values [B, H, N, K] of the last N tokens, real ones last; their positions [B, N]; real tokens so far [B, 1]."""

    k: Tensor
    v: Tensor
    position: Tensor
    real: Tensor
    seen: Tensor


class SegmentMemoryAttention(Recurrent):
    """o_t = Σ_s softmax_s(((q_t + u)·k_s + (q_t + v)·W_r R_{t−s}) / √K) v_s over max(0, t0 − `memory`) <= s <= t.

    t0 is the first position of the segment of t; segments are `segment` positions long. R_d = (sin(d ω), cos(d ω)), ω_j = 10000^(−2j/D).
    `width`: of one head, D / heads unless given. `ctx.order` is not read: distances are times.

    The sine of a difference is a sum of products, and so the term of position is itself a product of queries and keys.
    """

    tiny = {"heads": 2, "memory": 3, "segment": 4}

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        memory: int = 64,
        segment: int = 64,
        width: int | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if dim % 2:
            raise ValueError(f"dim={dim} is odd, and positions come in pairs of sine and cosine; use {dim + 1}")
        self.heads, self.memory, self.segment = heads, memory, segment
        self.width = check_heads(dim, heads) if width is None else width
        self.qkv = QKV(dim, width=heads * self.width, bias=bias)
        self.r = nn.Linear(dim, heads * self.width, bias=False)
        self.u = nn.Parameter(torch.zeros(heads, 1, self.width))
        self.v = nn.Parameter(torch.zeros(heads, 1, self.width))
        self.o = nn.Linear(heads * self.width, dim, bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v = self.qkv(x_BTD, None, self.heads)
        at = ctx.position_ids(batch, length, x_BTD.device)
        sees = dataclasses.replace(ctx, order=None).sees(batch, length, x_BTD.device, causal=True)
        past = torch.ones(length, length, dtype=torch.bool, device=x_BTD.device).tril() if sees is None else sees
        return self.read(q, k, v, at, at, past & self._near(at, at))

    def read(self, q: Tensor, k: Tensor, v: Tensor, at_BT: Tensor, at_BS: Tensor, sees_BTS: Tensor) -> Tensor:
        """[B, T, D] from queries at positions `at` [B, T] and keys, values at [B, S]."""
        maps_HKD = self.r.weight.view(self.heads, self.width, -1)
        sine, cosine = ((q + self.v) @ maps_HKD).chunk(2, -1)
        sin, cos = (w.to(q.dtype) for w in self._waves(at_BT))
        here = torch.cat((q + self.u, sine * sin + cosine * cos, cosine * sin - sine * cos), -1)
        sin, cos = (w.to(k.dtype).expand(-1, self.heads, -1, -1) for w in self._waves(at_BS))
        there = torch.cat((k, cos, sin), -1)
        return self.o(join(attend(here, there, v, sees=sees_BTS, scale=1 / math.sqrt(self.width))))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> SegmentState:
        length = self.memory + self.segment - 1
        empty = self.o.weight.new_zeros(batch, self.heads, length, self.width)
        at = torch.zeros(batch, length, dtype=torch.long, device=empty.device)
        return SegmentState(empty, empty, at, at.bool(), at.new_zeros(batch, 1))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, SegmentState]:
        assert isinstance(state, SegmentState)
        q, k, v = self.qkv(x_BtD, None, self.heads)
        batch, new, _ = x_BtD.shape
        at = ctx.position_ids(batch, new, x_BtD.device) + (0 if ctx.positions is not None else state.seen)
        mask = torch.ones_like(at, dtype=torch.bool) if ctx.mask is None else ctx.mask
        k, v = torch.cat((state.k, k), 2), torch.cat((state.v, v), 2)
        there, real = torch.cat((state.position, at), 1), torch.cat((state.real, mask), 1)
        index = torch.arange(there.shape[1], device=at.device)
        past = index <= index[-new:, None]
        y = self.read(q, k, v, at, there, past & real[:, None, :] & self._near(at, there))
        # Padding goes to the front, so that what is dropped there is the oldest.
        order = real.int().argsort(dim=1, stable=True)[:, new:]
        wide = order[:, None, :, None].expand(-1, self.heads, -1, self.width)
        seen = state.seen + mask.sum(1, keepdim=True)
        return y, SegmentState(
            k.gather(2, wide), v.gather(2, wide), there.gather(1, order), real.gather(1, order), seen
        )

    def _near(self, at_BT: Tensor, at_BS: Tensor) -> Tensor:
        """[B, T, S]: not older than the memory of the query's segment."""
        oldest = at_BT - at_BT % self.segment - self.memory
        return at_BS[:, None, :] >= oldest[:, :, None]

    def _waves(self, at_BT: Tensor) -> tuple[Tensor, Tensor]:
        """sin, cos [B, 1, T, D / 2]. Rates are rounded to float32, as all implementations have them; angles are not."""
        dim = self.r.in_features
        rates = 1 / 10_000 ** (torch.arange(0, dim, 2, dtype=torch.float32, device=at_BT.device) / dim)
        angle = at_BT[:, None, :, None] * rates.double()
        return angle.sin(), angle.cos()
