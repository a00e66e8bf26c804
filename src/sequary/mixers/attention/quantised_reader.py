"""Softmax attention over keys rounded to a codebook, in linear time (Liu et al., LongVQ, arXiv 2404.11163)."""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless
from sequary.mixers.attention.single_head import Reader
from sequary.ops.causal_conv import starts
from sequary.ops.linear_attend import linear_attend


@dataclasses.dataclass(frozen=True, slots=True)
class CodeState(State):
    """Of each code the sum of its tokens' values [B, 1, S, V] and their number [B, S]; the segment [B] of the last real token."""

    memory: Tensor
    count: Tensor
    segment: Tensor


class QuantisedReader(Reader):
    """o_t = Σ_{s<=t} softmax_s(q_t·c(k_s) / √Z) v_s, c(k) the nearest of S = `codes` codes: their keys are all that a query tells apart,
    so o_t = Σ_c w_c · mean of v over c's tokens, w = softmax_c(q_t·c / √Z + log n_c). Time T S, a state of S rows.

    Which code is nearest has no derivative; that of a softmax of −‖k − c‖² / √Z takes its place (straight-through).
    """

    smooth = False

    def __init__(self, dim: int, *, codes: int = 32) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(codes, dim) / dim**0.5)

    def chosen(self, k_BTZ: Tensor) -> Tensor:
        """[B, T, S]: 1 at the nearest code."""
        near = (2 * k_BTZ @ self.codes.mT - self.codes.square().sum(-1)) / self.codes.shape[1] ** 0.5
        soft = near.softmax(-1)
        return F.one_hot(near.argmax(-1), len(self.codes)).to(soft) + (soft - soft.detach())

    def forward(self, q_BTZ: Tensor, k_BTZ: Tensor, v_BTV: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(q_BTZ, k_BTZ, v_BTV, self.init_state(q_BTZ.shape[0], v_BTV.shape[2], q_BTZ), ctx)[0]

    def init_state(self, batch: int, value: int, like: Tensor) -> CodeState:
        codes, none = len(self.codes), like.new_zeros(batch)
        return CodeState(like.new_zeros(batch, 1, codes, value), like.new_zeros(batch, codes), none.long() - 1)

    def step(
        self, q_BtZ: Tensor, k_BtZ: Tensor, v_BtV: Tensor, state: State, ctx: Ctx = Ctx()
    ) -> tuple[Tensor, CodeState]:
        assert isinstance(state, CodeState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        h = self.chosen(k_BtZ)
        if ctx.mask is not None:
            h = h * ctx.mask[..., None]
        n, decay = state.count[:, None] + h.cumsum(1), None
        if begins is not None:  # a new segment forgets everything
            decay = h.new_zeros(*begins.shape, 1, 1).masked_fill(begins[..., None, None], -math.inf)
            n = n - self._before(n - h, begins)
        score = q_BtZ @ self.codes.mT / self.codes.shape[1] ** 0.5 + n.clamp(min=1).log()
        w = score.masked_fill(n < 0.5, torch.finfo(score.dtype).min).softmax(-1) / n.clamp(min=1)
        o, memory = linear_attend(w[:, :, None], h[:, :, None], v_BtV[:, :, None], decay, state.memory)
        return o[:, :, 0], CodeState(memory, n[:, -1], segment)

    def _before(self, count_BtS: Tensor, begins_Bt: Tensor) -> Tensor:
        """[B, t, S]: how many stood before the segment of each token began; 0 where it began in an earlier call."""
        index = torch.arange(1, begins_Bt.shape[1] + 1, device=begins_Bt.device)
        first_Bt1 = torch.where(begins_Bt, index, 0).cummax(1).values[..., None]
        return F.pad(count_BtS, (0, 0, 1, 0)).gather(1, first_Bt1.expand_as(count_BtS))


class OwnValue(Reader):
    """o_t = σ(q_t·k_t / √Z) v_t: no other token is read; for hosts that show what reading adds."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.width = dim

    def forward(self, q_BTZ: Tensor, k_BTZ: Tensor, v_BTV: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return ((q_BTZ * k_BTZ).sum(-1, keepdim=True) / self.width**0.5).sigmoid() * v_BTV

    def init_state(self, batch: int, value: int, like: Tensor) -> State:
        return Stateless()

    def step(self, q_BtZ: Tensor, k_BtZ: Tensor, v_BtV: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(q_BtZ, k_BtZ, v_BtV, ctx), state
