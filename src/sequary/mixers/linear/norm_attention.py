"""Kernel attention without a denominator: a norm of the output keeps it bounded, and its gradients too.

Qin et al., The Devil in Linear Transformer (arXiv 2210.10340), section 4.
"""

from __future__ import annotations

from collections.abc import Callable

from einops import rearrange
from torch import Tensor, nn

from sequary.blocks.norms import Norm, RMSNorm
from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.attention.projection import check_heads
from sequary.mixers.linear.feature_maps import EluPlusOne, FeatureMap
from sequary.mixers.linear.kernel import KernelState
from sequary.ops.kernel_attend import kernel_sums


class Normed(Mixer):
    """An interface: queries, keys and values of H = `heads` heads, `hidden` (else dim) entries in all.

    `gate`, where given, is applied to the values and to a map of x that multiplies what the norm leaves. The norm is over all heads
    together.
    """

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        hidden: int | None = None,
        feature: Part[FeatureMap] = part(EluPlusOne),
        gate: Callable[[Tensor], Tensor] | None = None,
        norm: Part[Norm] = part(RMSNorm),
        bias: bool = False,
    ) -> None:
        super().__init__()
        hidden = dim if hidden is None else hidden
        self.heads, self.width, self.gate = heads, check_heads(hidden, heads), gate
        self.feature = feature.but(heads=heads).build(Place(self.width))
        self.q, self.k, self.v = (nn.Linear(dim, hidden, bias=bias) for _ in range(3))
        self.u = None if gate is None else nn.Linear(dim, hidden, bias=bias)
        self.norm = norm.build(Place(hidden))
        self.o = nn.Linear(hidden, dim, bias=bias)

    def split(self, x_BTD: Tensor, source_BSD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """φ(q) [B, T, H, K], φ(k) and v [B, S, H, K]."""
        v = self.v(source_BSD) if self.gate is None else self.gate(self.v(source_BSD))
        each = (self.q(x_BTD), self.k(source_BSD), v)
        q, k, v = (rearrange(z, "b t (h k) -> b t h k", h=self.heads) for z in each)
        return self.feature.queries(q), self.feature.keys(k), v

    def finish(self, o_BTHK: Tensor, x_BTD: Tensor) -> Tensor:
        o = self.norm(o_BTHK.flatten(2))
        return self.o(o if self.gate is None or self.u is None else o * self.gate(self.u(x_BTD)))


class NormAttention(Normed):
    """y_t = W_o norm(Σ_s (φ(q_t)·φ(k_s)) v_s) over all real tokens."""

    orders = True

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        sees = None
        if ctx.order is not None or ctx.segments is not None:
            sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=False)
        return self.finish(kernel_sums(*self.split(x_BTD, x_BTD), mask=ctx.mask, sees=sees), x_BTD)


class CausalNormAttention(Normed, Recurrent):
    """S_t = S_{t-1} + φ(k_t) v_tᵀ,  y_t = W_o norm(S_tᵀ φ(q_t))."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> KernelState:
        return KernelState.empty(batch, self.heads, self.feature.width, self.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, KernelState)
        sums, state = state.add(*self.split(x_BtD, x_BtD), ctx)
        return self.finish(sums, x_BtD), state
