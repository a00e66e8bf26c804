"""Attention-free mixing: keys weigh values channel by channel, queries only gate (Zhai et al., arXiv 2105.14103)."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.attention.pairs import FactoredPairs, PairBias
from sequary.mixers.attention.projection import check_heads
from sequary.ops.causal_conv import Line, starts
from sequary.ops.free_attend import free_attend
from sequary.ops.prefix_softmax import Prefix, prefix_softmax
from sequary.ops.window_softmax import window_softmax


class FreeAttention(Mixer):
    """y_t = W_o (σ(q_t) ⊙ Σ_s exp(k_s + w_ts) v_s / Σ_s exp(k_s + w_ts)) over all real tokens, each channel apart.

    `pairs`: the biases w (AFT-full, AFT-local); None: zeros (AFT-simple), and time linear in the length. `hidden`: width of q, k, v.
    """

    tiny = {"pairs": part(FactoredPairs, length=24, rank=4)}
    orders = True

    def __init__(
        self,
        dim: int,
        *,
        pairs: Part[PairBias] | None = None,
        hidden: int | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        hidden = dim if hidden is None else hidden
        self.q, self.k, self.v = (nn.Linear(dim, hidden) for _ in range(3))
        self.pairs = None if pairs is None else pairs.build(Place.here(place, dim))
        self.o = nn.Linear(hidden, dim)
        self.cost = 1.0 if pairs is None else 2.0

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        alike = ctx.mask is None and ctx.positions is None and ctx.segments is None
        at_BT = ctx.position_ids(1 if alike else batch, length, x_BTD.device)
        whole = ctx.order is None and ctx.segments is None
        mixed = free_attend(
            self.k(x_BTD),
            self.v(x_BTD),
            None if self.pairs is None else self.pairs(at_BT, at_BT),
            sees_BTS=None if whole else ctx.sees(batch, length, x_BTD.device, causal=False),
            real_BS=ctx.mask,
        )
        return self.o(self.q(x_BTD).sigmoid() * mixed)


@dataclasses.dataclass(frozen=True, slots=True)
class FreeState(State):
    """What left the window, read; the window's keys, values and flags [B, K, 2E + 1]; the segment [B] of the last real token."""

    read: Prefix
    past: Tensor
    segment: Tensor


class CausalFreeAttention(Recurrent):
    """y_t = W_o (σ(q_t) ⊙ Σ_{s<=t} exp(k_s + w_{h,t−s}) v_s / Σ_{s<=t} exp(k_s + w_{h,t−s})), w = 0 from lag `window` on.

    Linear in the length; the state is a mean of all that left the window, and the window. One kernel w_h [window] is shared by the
    channels of head h (AFT-conv along a line); `window` 0 is AFT-simple.
    """

    tiny = {"heads": 2, "window": 3}
    cost = 1.0

    def __init__(self, dim: int, *, heads: int = 4, window: int = 16, hidden: int | None = None) -> None:
        super().__init__()
        self.hidden = dim if hidden is None else hidden
        check_heads(self.hidden, heads)
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(dim, 3 * self.hidden)
        self.lags = nn.Parameter(0.1 * torch.randn(heads, window)) if window else None
        self.o = nn.Linear(self.hidden, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> FreeState:
        like = self.o.weight
        past = like.new_zeros(batch, self.window, 2 * self.hidden + 1)
        return FreeState(Prefix.empty(batch, self.hidden, 1, like), past, like.new_full((batch,), -1, dtype=torch.long))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, FreeState]:
        assert isinstance(state, FreeState)
        q, kv = self.qkv(x_BtD).split((self.hidden, 2 * self.hidden), -1)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        line, wide = Line.up(F.pad(kv, (0, 1), value=1.0), state.past, ctx.mask, begins), self.hidden
        k, v, there = told(line.oldest(), wide)
        gone = there[..., 0] > 0.5 if ctx.mask is None else (there[..., 0] > 0.5) & ctx.mask
        o, z, read = prefix_softmax(k, v[..., None], state.read, mask_BT=gone, starts_BT=begins)
        mixed = o[..., 0]
        if self.lags is not None:
            k, v, there = told(line.tokens[:, 1:], wide)
            k = k.masked_fill(there < 0.5, torch.finfo(k.dtype).min)
            w_KE = self.lags.flip(1).repeat_interleave(wide // self.heads, 0).mT
            runs = None if line.runs is None else line.runs[:, 1:]
            mixed = line.put_back(window_softmax(k, v, w_KE, line.along(z), line.along(mixed), runs))
        return self.o(q.sigmoid() * mixed), FreeState(read, line.past(), segment)


def told(x_BSF: Tensor, wide: int) -> tuple[Tensor, Tensor, Tensor]:
    """Keys, values and flags [..., 1] of the tokens on a line."""
    return x_BSF[..., :wide], x_BSF[..., wide : 2 * wide], x_BSF[..., 2 * wide :]
