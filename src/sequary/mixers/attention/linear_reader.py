"""Reading values without a softmax: the causal linear attention of gated blocks (Liu et al., CHELA, arXiv 2406.08128)."""

from __future__ import annotations

import dataclasses
import math

import torch.nn.functional as F
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.single_head import Reader
from sequary.ops.causal_conv import starts
from sequary.ops.linear_attend import linear_attend


@dataclasses.dataclass(frozen=True, slots=True)
class LinearState(State):
    """The memory [B, 1, Z, V], and the segment [B] of the last real token."""

    memory: Tensor
    segment: Tensor


class LinearReader(Reader):
    """S_t = S_{t-1} + k_t v_tᵀ,  o_t = S_tᵀ q_t / √Z, brought to a mean square of 1, since the memory grows with the length.

    In chunks: quadratic inside of one, the memory between them.
    """

    def __init__(self, dim: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.width, self.eps = dim, eps

    def forward(self, q_BTZ: Tensor, k_BTZ: Tensor, v_BTV: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(q_BTZ, k_BTZ, v_BTV, self.init_state(q_BTZ.shape[0], v_BTV.shape[2], q_BTZ), ctx)[0]

    def init_state(self, batch: int, value: int, like: Tensor) -> LinearState:
        return LinearState(like.new_zeros(batch, 1, self.width, value), like.new_zeros(batch).long() - 1)

    def step(
        self, q_BtZ: Tensor, k_BtZ: Tensor, v_BtV: Tensor, state: State, ctx: Ctx = Ctx()
    ) -> tuple[Tensor, LinearState]:
        assert isinstance(state, LinearState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        if ctx.mask is not None:
            k_BtZ = k_BtZ.masked_fill(~ctx.mask[..., None], 0)
        decay = None  # a new segment forgets everything
        if begins is not None:
            decay = k_BtZ.new_zeros(*begins.shape, 1, 1).masked_fill(begins[..., None, None], -math.inf)
        q, k, v = ((x[:, :, None]) for x in (q_BtZ / self.width**0.5, k_BtZ, v_BtV))
        o, memory = linear_attend(q, k, v, decay, state.memory)
        return F.rms_norm(o[:, :, 0], o.shape[-1:], eps=self.eps), LinearState(memory, segment)
