"""Gated linear attention: a matrix of memory a head, whose rows forget at rates that the input sets.

Yang et al., Gated Linear Attention Transformers (arXiv 2312.06635), section 4.4.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.identity import Identity
from sequary.mixers.linear.features import silu
from sequary.ops.causal_conv import starts
from sequary.ops.linear_attend import linear_attend


@dataclasses.dataclass(frozen=True, slots=True)
class GLAState(State):
    """The memory [B, H, K, V], the state of the short convolution, and the segment [B] of the last real token."""

    memory: Tensor
    conv: State
    segment: Tensor


class GatedLinearAttention(Recurrent):
    """S_t = diag(α_t) S_{t-1} + k_t v_tᵀ,  o_t = S_tᵀ q_t / √K,  y_t = W_o (RMSNorm(o_t) ⊙ gate(W_g x_t)).

    α_t = σ(W₂ W₁ x_t + b)^{1/gate_norm}, through a bottleneck of `gate_rank`; `floor` is the least log α.
    H = `heads` heads of K = dim · key_ratio / H and V = dim · value_ratio / H entries; `kv_heads` < H: that many keys, values
    and decays, each shared by H / kv_heads heads in a row. `feature` is applied to queries and keys. `conv`, a recurrent
    mixer, and then SiLU come before them where given. `gate` None: no output gate.
    """

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        kv_heads: int | None = None,
        key_ratio: float = 0.5,
        value_ratio: float = 1.0,
        gate_rank: int = 16,
        gate_norm: float = 16.0,
        floor: float | None = None,
        feature: Callable[[Tensor], Tensor] | None = None,
        conv: Part[Recurrent] | None = None,
        gate: Callable[[Tensor], Tensor] | None = silu,
        eps: float = 1e-5,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads = heads, heads if kv_heads is None else kv_heads
        if heads % self.kv_heads:
            raise ValueError(f"kv_heads={kv_heads} does not divide heads={heads}")
        self.key, self.value = _width(dim, key_ratio, heads, "key"), _width(dim, value_ratio, heads, "value")
        self.gate_norm, self.floor, self.feature, self.gate = gate_norm, floor, feature, gate
        self.widths = heads * self.key, self.kv_heads * self.key, self.kv_heads * self.value
        self.qkv = nn.Linear(dim, sum(self.widths), bias=False)
        self.decay = nn.Sequential(
            nn.Linear(dim, gate_rank, bias=False), nn.Linear(gate_rank, self.kv_heads * self.key)
        )
        self.conv = Identity(dim) if conv is None else conv.build(Place.here(place, sum(self.widths)))
        self.act = nn.Identity() if conv is None else nn.SiLU()
        self.norm = nn.RMSNorm(self.value, eps=eps)
        self.g = None if gate is None else nn.Linear(dim, heads * self.value, bias=False)
        self.o = nn.Linear(heads * self.value, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> GLAState:
        like = self.o.weight
        return GLAState(
            like.new_zeros(batch, self.heads, self.key, self.value),
            self.conv.init_state(batch),
            like.new_full((batch,), -1, dtype=torch.long),
        )

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, GLAState]:
        assert isinstance(state, GLAState)
        q, k, v, conv = self._project(x_BtD, state.conv, ctx)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        g = F.logsigmoid(self.decay(x_BtD)) / self.gate_norm
        g = self._spread(g if self.floor is None else g.clamp(min=self.floor), self.key)
        if ctx.mask is not None:  # padding writes nothing and forgets nothing
            padding = ~ctx.mask[..., None, None]
            k, g = k.masked_fill(padding, 0), g.masked_fill(padding, 0)
        if begins is not None:  # a new segment forgets everything
            g = g.masked_fill(begins[..., None, None], -math.inf)
        o_BtHV, memory = linear_attend(q / math.sqrt(self.key), k, v, g, state.memory)
        o = self.norm(o_BtHV).flatten(2)
        if self.gate is not None and self.g is not None:
            o = o * self.gate(self.g(x_BtD))
        return self.o(o), GLAState(memory, conv, segment)

    def _project(self, x_BtD: Tensor, state: State, ctx: Ctx) -> tuple[Tensor, Tensor, Tensor, State]:
        qkv, state = self.conv.step(self.qkv(x_BtD), state, ctx)
        q, k, v = self.act(qkv).split(self.widths, -1)
        if self.feature is not None:
            q, k = self.feature(q), self.feature(k)
        return (
            rearrange(q, "B t (H K) -> B t H K", H=self.heads),
            self._spread(k, self.key),
            self._spread(v, self.value),
            state,
        )

    def _spread(self, x_BtD: Tensor, width: int) -> Tensor:
        """[B, t, kv_heads · width] -> [B, t, H, width], shared by consecutive heads."""
        return repeat(x_BtD, "B t (h K) -> B t (h g) K", K=width, g=self.heads // self.kv_heads)


def _width(dim: int, ratio: float, heads: int, name: str) -> int:
    whole = round(dim * ratio)
    if not math.isclose(whole, dim * ratio) or whole % heads:
        raise ValueError(f"{name}_ratio={ratio} · dim={dim} is not a multiple of heads={heads}")
    return whole // heads
