"""Kernel attention: weights that are products of features, so that keys and values are summed once and read by all.

Katharopoulos et al., Transformers are RNNs (arXiv 2006.16236), section 3.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from einops import rearrange
from torch import Tensor, nn

from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.attention.projection import check_heads
from sequary.mixers.linear.feature_maps import EluPlusOne, FeatureMap
from sequary.ops.causal_conv import starts
from sequary.ops.kernel_attend import kernel_sums, mean, with_ones
from sequary.ops.linear_attend import linear_attend


class Featured(Mixer):
    """An interface: queries, keys and values of H = `heads` heads, features of the first two, and a map back.

    K: `key` entries a head, dim / H unless given; V = dim / H. `eps` is added to the sum of the weights.
    """

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        key: int | None = None,
        feature: Part[FeatureMap] = part(EluPlusOne),
        bias: bool = False,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.heads, self.value, self.eps = heads, check_heads(dim, heads), eps
        self.key = self.value if key is None else key
        self.q, self.k = (nn.Linear(dim, heads * self.key, bias=bias) for _ in range(2))
        self.v, self.o = nn.Linear(dim, dim, bias=bias), nn.Linear(dim, dim, bias=bias)
        self.feature = feature.but(heads=heads).build(Place(self.key))
        self.smooth = self.feature.smooth

    def features(self, x_BTD: Tensor, ctx: Ctx) -> tuple[Tensor, Tensor, Tensor]:
        """φ(q), φ(k) [B, T, H, F] and the values with a column of ones [B, T, H, V + 1]."""
        q, k, v = (rearrange(f(x_BTD), "b t (h k) -> b t h k", h=self.heads) for f in (self.q, self.k, self.v))
        if self.training:
            self.feature.watch(q.detach(), k.detach(), ctx.mask)
        return self.feature.queries(q), self.feature.keys(k), with_ones(v)


class KernelAttention(Featured):
    """o_t = Σ_s (φ(q_t)·φ(k_s)) v_s / (Σ_s φ(q_t)·φ(k_s) + eps) over all real tokens, linear in their number.

    With `ctx.order` or packed rows the weights are written out, since queries then read different keys.
    """

    orders = True

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q, k, v = self.features(x_BTD, ctx)
        sees = None
        if ctx.order is not None or ctx.segments is not None:
            sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=False)
        return self.o(mean(kernel_sums(q, k, v, mask=ctx.mask, sees=sees), self.eps).flatten(2))


@dataclasses.dataclass(frozen=True, slots=True)
class KernelState(State):
    """Σ φ(k_s) [v_s, 1]ᵀ [B, H, F, V + 1], in float32 at least since it only grows, and the segment [B] of the last real token."""

    memory: Tensor
    segment: Tensor

    @staticmethod
    def empty(batch: int, heads: int, features: int, value: int, like: Tensor) -> KernelState:
        wide = torch.promote_types(like.dtype, torch.float32)
        return KernelState(
            like.new_zeros(batch, heads, features, value, dtype=wide), like.new_full((batch,), -1, dtype=torch.long)
        )

    def add(self, q_BtHF: Tensor, k_BtHF: Tensor, v_BtHV: Tensor, ctx: Ctx) -> tuple[Tensor, KernelState]:
        """(Σ_{s<=t} (φ(q_t)·φ(k_s)) v_s [B, t, H, V], the state after them): padding adds nothing, a new segment starts at 0."""
        begins, segment = starts(ctx.segments, ctx.mask, self.segment)
        if ctx.mask is not None:
            k_BtHF = k_BtHF.masked_fill(~ctx.mask[..., None, None], 0)
        g = None
        if begins is not None:
            g = torch.zeros_like(k_BtHF[..., :1]).masked_fill(begins[..., None, None], -math.inf)
        o, memory = linear_attend(q_BtHF, k_BtHF, v_BtHV, g, self.memory)
        return o, KernelState(memory, segment)


class CausalKernelAttention(Featured, Recurrent):
    """o_t = S_tᵀ φ(q_t) / (z_t·φ(q_t) + eps),  S_t = S_{t-1} + φ(k_t) v_tᵀ,  z_t = z_{t-1} + φ(k_t)  (eq. 9 to 12).

    A recurrent network whose state does not grow; z is the last column of the memory.
    """

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> KernelState:
        return KernelState.empty(batch, self.heads, self.feature.width, self.value + 1, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, KernelState]:
        assert isinstance(state, KernelState)
        sums, state = state.add(*self.features(x_BtD, ctx), ctx)
        return self.o(mean(sums, self.eps).flatten(2)), state
