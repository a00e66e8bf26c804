"""Linear attention whose keys are a softmax over what has been read: a memory that is a mean, and so needs no direction.

Qin et al., You Only Scan Once: LightNet (arXiv 2405.21022).
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.attention.projection import check_heads
from sequary.mixers.identity import Identity
from sequary.ops.causal_conv import starts
from sequary.ops.kernel_attend import kernel_sums
from sequary.ops.linear_attend import linear_attend
from sequary.ops.running_softmax import EMPTY, normalised


class LightNet(Mixer):
    """An interface: H = `heads` heads of K = `key` query and key entries (dim / H unless given) and V = dim / H values.

    q_t = SiLU(W_q x_t) / √K; y_t = W_o (RMSNorm(o_t) ⊙ SiLU(W₂ W₁ x_t)), the norm over all heads, the gate through a bottleneck of
    `gate_rank`. `conv`, a mixer, comes before queries, keys and values where given.
    """

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        key: int | None = None,
        gate_rank: int = 16,
        conv: Part[Recurrent] | None = None,
        eps: float = 1e-6,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.value = heads, check_heads(dim, heads)
        self.key = self.value if key is None else key
        self.widths = heads * self.key, heads * self.key, dim
        self.qkv = nn.Linear(dim, sum(self.widths), bias=False)
        self.conv = Identity(dim) if conv is None else conv.build(Place.here(place, sum(self.widths)))
        self.gate = nn.Sequential(nn.Linear(dim, gate_rank, bias=False), nn.Linear(gate_rank, dim, bias=False))
        self.norm = nn.RMSNorm(dim, eps=eps)
        self.o = nn.Linear(dim, dim, bias=False)

    def split(self, qkv_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, the logits of the keys [B, T, H, K], v [B, T, H, V]."""
        q, k, v = (
            rearrange(x, "b t (h k) -> b t h k", h=self.heads) for x in torch.split(qkv_BTD, list(self.widths), -1)
        )
        return F.silu(q) / math.sqrt(self.key), k, v

    def finish(self, o_BTHV: Tensor, x_BTD: Tensor) -> Tensor:
        return self.o(self.norm(o_BTHV.flatten(2)) * F.silu(self.gate(x_BTD)))


class LightNetAttention(LightNet):
    """o_t = Σ_s (q_t·p_s) v_s, p = softmax over all real tokens s of the keys' logits, each entry apart: one pass, no direction.

    With `ctx.order` or packed rows the sums are written out, each query over the keys that it may read.
    """

    orders = True

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q, k, v = self.split(self.conv(self.qkv(x_BTD), ctx))
        k = k.to(torch.promote_types(k.dtype, torch.float32))
        if ctx.mask is not None:
            k = k.masked_fill(~ctx.mask[..., None, None], EMPTY)
        if ctx.order is None and ctx.segments is None:
            return self.finish(kernel_sums(q, k.softmax(1), v, mask=ctx.mask), x_BTD)
        sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=False)
        assert sees is not None
        e = (k - k.amax(1, keepdim=True)).exp()
        total = torch.einsum("bts,bshk->bthk", sees.to(e.dtype), e).clamp(min=torch.finfo(e.dtype).tiny)
        return self.finish(kernel_sums(q / total, e, v, sees=sees), x_BTD)


@dataclasses.dataclass(frozen=True, slots=True)
class LightNetState(State):
    """The memory [B, H, K, V], z = log Σ exp of the keys' logits [B, H, K], the convolution's state, the last real token's segment."""

    memory: Tensor
    z: Tensor
    conv: State
    segment: Tensor


class CausalLightNet(LightNet, Recurrent):
    """z_t = log Σ_{s<=t} exp k_s,  S_t = exp(z_{t-1} − z_t) S_{t-1} + exp(k_t − z_t) v_tᵀ,  o_t = S_tᵀ q_t.

    At the last token the memory is that of `LightNetAttention`.
    """

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> LightNetState:
        like = self.o.weight
        wide = torch.promote_types(like.dtype, torch.float32)
        return LightNetState(
            like.new_zeros(batch, self.heads, self.key, self.value, dtype=wide),
            like.new_full((batch, self.heads, self.key), EMPTY, dtype=wide),
            self.conv.init_state(batch),
            like.new_full((batch,), -1, dtype=torch.long),
        )

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, LightNetState)
        qkv, conv = self.conv.step(self.qkv(x_BtD), state.conv, ctx)
        q, k, v = self.split(qkv)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        write, g, z = normalised(k, state.z, ctx.mask, begins)
        o, memory = linear_attend(q, write, v, g, state.memory)
        return self.finish(o, x_BtD), LightNetState(memory, z, conv, segment)
