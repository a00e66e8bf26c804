"""Delta-rule layers: a matrix of memory a head, where a token first takes back what lies under its key.

Yang et al., Parallelizing Linear Transformers with the Delta Rule (arXiv 2406.06484), and its gated successors, in `delta_gates`.
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.linear.delta_gates import DeltaGates, HeadGates, heads_of
from sequary.ops.causal_conv import starts
from sequary.ops.delta_rule import delta_rule


@dataclasses.dataclass(frozen=True, slots=True)
class DeltaState(State):
    """The memory [B, H, K, V], the state of the short convolution, and the segment [B] of the last real token."""

    memory: Tensor
    conv: State
    segment: Tensor


class OutputGate(nn.Module):
    """silu(W x), for the [B, t, `width`] outputs of all heads (`dim`, if not given)."""

    def __init__(self, dim: int, *, width: int | None = None) -> None:
        super().__init__()
        self.map = nn.Linear(dim, width or dim, bias=False)

    def forward(self, x_BtD: Tensor) -> Tensor:
        return F.silu(self.map(x_BtD))


class LowRankGate(OutputGate):
    """σ(W₂ W₁ x + b), through a bottleneck of `rank`."""

    def __init__(self, dim: int, *, width: int | None = None, rank: int = 16) -> None:
        super().__init__(dim, width=width)
        self.map = nn.Sequential(nn.Linear(dim, rank, bias=False), nn.Linear(rank, width or dim))

    def forward(self, x_BtD: Tensor) -> Tensor:
        return self.map(x_BtD).sigmoid()


class DeltaNet(Recurrent):
    """S_t = (I − k_t e_tᵀ) diag(exp g_t) S_{t-1} + k_t w_tᵀ,  o_t = S_tᵀ q_t / √K,  y = W_o (RMSNorm(o) ⊙ gate(x)).

    q and k are unit vectors; q, k and v pass through `conv`, a recurrent mixer, and SiLU. `gates` makes e (what is taken back), w (what
    is written) and g (what is kept). H = `heads` memories of K = `key` × V = `value` entries; queries and keys have `key_heads` heads
    (all, if not given), each shared by H / key_heads memories in a row.
    """

    cost = 1.0
    tiny = {"heads": 2, "key": 4, "value": 6}

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        key_heads: int | None = None,
        key: int = 32,
        value: int = 32,
        gates: Part[DeltaGates] = part(HeadGates),
        conv: Part[Recurrent] = part(ShortConv, bias=False),
        gate: Part[OutputGate] = part(OutputGate),
        eps: float = 1e-5,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.key_heads, self.key, self.value = heads, key_heads or heads, key, value
        if heads % self.key_heads:
            raise ValueError(f"key_heads={self.key_heads} does not divide heads={heads}")
        here = Place.here(place, dim)
        self.widths = self.key_heads * key, self.key_heads * key, heads * value
        self.qkv = nn.Linear(dim, sum(self.widths), bias=False)
        self.conv, self.act = conv.build(Place.here(place, sum(self.widths))), nn.SiLU()
        self.gates = gates.but(heads=heads, key=key, value=value).build(here)
        self.norm = nn.RMSNorm(value, eps=eps)
        self.gate = gate.but(width=heads * value).build(here)
        self.o = nn.Linear(heads * value, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> DeltaState:
        like = self.o.weight
        memory = like.new_zeros(batch, self.heads, self.key, self.value)
        return DeltaState(memory, self.conv.init_state(batch), like.new_full((batch,), -1, dtype=torch.long))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, DeltaState]:
        assert isinstance(state, DeltaState)
        qkv, conv = self.conv.step(self.qkv(x_BtD), state.conv, ctx)
        q, k, v = self.act(qkv).split(self.widths, -1)
        q, k = (self._shared(unit(heads_of(x, self.key_heads))) for x in (q, k))
        e, w, g = self.gates(x_BtD, k, heads_of(v, self.heads))
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        if ctx.mask is not None:  # padding takes back and writes nothing, and forgets nothing
            padding = ~ctx.mask[..., None, None]
            e, w = e.masked_fill(padding, 0), w.masked_fill(padding, 0)
            g = None if g is None else g.masked_fill(padding, 0)
        if begins is not None:  # a new segment forgets everything
            g = (torch.zeros_like(e[..., :1]) if g is None else g).masked_fill(begins[..., None, None], -math.inf)
        o_BtHV, memory = delta_rule(q / math.sqrt(self.key), k, w, e, g, state.memory)
        return self.o(self.norm(o_BtHV).flatten(2) * self.gate(x_BtD)), DeltaState(memory, conv, segment)

    def _shared(self, x_BthK: Tensor) -> Tensor:
        return x_BthK.repeat_interleave(self.heads // self.key_heads, 2)


def unit(x: Tensor) -> Tensor:
    """x / √(‖x‖² + 1e-6): finite at zero, with a finite slope."""
    return x * (x.square().sum(-1, keepdim=True) + 1e-6).rsqrt()
