"""Linear attention for agents: an outer product of gates forgets and writes, and oscillators stand in for the outer-product state.

Pramanik et al., AGaLiTe: Approximate Gated Linear Transformers (arXiv 2310.15719), first called Recurrent Linear Transformers.
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.projection import check_heads
from sequary.mixers.places import Places
from sequary.ops.causal_conv import starts
from sequary.ops.linear_attend import linear_attend
from sequary.ops.running_softmax import log_add


@dataclasses.dataclass(frozen=True, slots=True)
class Gates:
    """Of H heads: features F = η K of keys and queries, values; γ and β; logs of β, 1 − γ and 1 − β."""

    key: Tensor
    query: Tensor
    value: Tensor
    write_key: Tensor
    write_value: Tensor
    log_value: Tensor
    keep_key: Tensor
    keep_value: Tensor


class Gated(Recurrent):
    """An interface: φ(k) = relu(k) ⊗ relu(p), γ = σ(c) ⊗ σ(p′) of F = `expand` · K entries a head, β = σ(b) of K; biases everywhere.

    K = `width` of a head, dim / `heads` unless given.
    """

    cost = 1.0

    def __init__(
        self, dim: int, *, heads: int = 4, width: int | None = None, expand: int = 4, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.heads, self.expand, self.eps = heads, expand, eps
        self.width = check_heads(dim, heads) if width is None else width
        self.inner = nn.Linear(dim, 5 * heads * self.width)
        """Of keys, queries, values, β and γ."""
        self.outer = nn.Linear(dim, 3 * heads * expand)
        """The other factors of keys, queries and γ."""
        self.o = nn.Linear(heads * self.width, dim)

    def gates(self, x_BTD: Tensor) -> Gates:
        k, q, v, b, c = (rearrange(z, "b t (h k) -> b t h k", h=self.heads) for z in self.inner(x_BTD).chunk(5, -1))
        p1, p2, p3 = (rearrange(z, "b t (h n) -> b t h n", h=self.heads) for z in self.outer(x_BTD).chunk(3, -1))
        key, query = (outer(F.relu(x), F.relu(p)) for x, p in ((k, p1), (q, p2)))
        # 1 − σ(c) σ(p) = σ(−c) + σ(c) σ(−p): no difference, so that closed gates lose no digits.
        c, p3 = c[..., None, :], p3[..., None]
        keep = log_add(F.logsigmoid(-c), F.logsigmoid(c) + F.logsigmoid(-p3)).flatten(-2)
        gamma, log_beta = (c.sigmoid() * p3.sigmoid()).flatten(-2), F.logsigmoid(b)
        return Gates(key, query, v, gamma, b.sigmoid(), log_beta, keep, F.logsigmoid(-b))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def forget(
        self, x_BTCV: Tensor, keep_BTC: Tensor, S_BCV: Tensor, mask_BT: Tensor | None, begins_BT: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """h_t = exp(keep_t) h_{t-1} + x_t for each of C channels: (h [B, T, C, V], the last). A head of one key for each channel."""
        g, x = keep_BTC[..., None], x_BTCV
        if mask_BT is not None:
            x, g = (z.masked_fill(~mask_BT[..., None, None], 0) for z in (x, g))
        if begins_BT is not None:
            g = g.masked_fill(begins_BT[..., None, None], -math.inf)
        ones = torch.ones_like(x[..., :1])
        h, last = linear_attend(ones, ones, x, g, S_BCV[:, :, None])
        return h, last[:, :, 0]

    def empty(self, batch: int, *shape: int) -> Tensor:
        wide = torch.promote_types(self.o.weight.dtype, torch.float32)
        return self.o.weight.new_zeros(batch, *shape, dtype=wide)


def outer(x_BTHK: Tensor, p_BTHN: Tensor) -> Tensor:
    """[B, T, H, N · K]."""
    return (p_BTHN[..., None] * x_BTHK[..., None, :]).flatten(-2)


@dataclasses.dataclass(frozen=True, slots=True)
class AGaLiTeState(State):
    """Oscillating sums of keys, and their plain sum, [B, H · F, r + 1]; oscillating sums of values [B, H · K, r]; places."""

    keys: Tensor
    values: Tensor
    places: Places


class AGaLiTe(Gated):
    """k̃ʲ_t = (1 − γ) k̃ʲ_{t-1} + cos(ω_j t) γ φ(k_t), ṽʲ likewise by β, s_t = (1 − γ) s_{t-1} + γ φ(k_t);
    o_t = Σ_j ṽʲ_t (k̃ʲ_t·φ(q_t)) / (2 r s_t·φ(q_t) + eps).

    Since Σ_j cos(ω_j i) cos(ω_j j′) is about r/2 for i = j′ and small else, the sum stands in for a quarter of what the state
    C_t = ((1 − β)(1 − γ)ᵀ) ⊙ C_{t-1} + (β ⊙ v)(γ ⊙ φ(k))ᵀ gives. r = `oscillators` of frequencies from −π to π; t counts real tokens
    of a segment, the first being 2 as in the authors' code.
    """

    tiny = {"heads": 2, "expand": 2, "oscillators": 3}

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        width: int | None = None,
        expand: int = 4,
        oscillators: int = 8,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(dim, heads=heads, width=width, expand=expand, eps=eps)
        self.oscillators = oscillators

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> AGaLiTeState:
        keys = self.empty(batch, self.heads * self.expand * self.width, self.oscillators + 1)
        values = self.empty(batch, self.heads * self.width, self.oscillators)
        return AGaLiTeState(keys, values, Places.none(batch, self.o.weight))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, AGaLiTeState)
        begins, _ = starts(ctx.segments, ctx.mask, state.places.segment)
        _, _, place_Bt, places = state.places.count(ctx, x_BtD.shape[1])
        y, keys, values = self.read(x_BtD, state, place_Bt + 2, ctx.mask, begins)
        return y, AGaLiTeState(keys, values, places)

    def read(
        self, x_BtD: Tensor, state: AGaLiTeState, tick_Bt: Tensor, mask: Tensor | None, begins: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(y, the sums of keys and of values after the last token) with the times of the tokens given."""
        gates, r = self.gates(x_BtD), self.oscillators
        omega = torch.linspace(-math.pi, math.pi, r, dtype=torch.float64, device=x_BtD.device)
        wave_BtV = F.pad((tick_Bt[..., None] * omega).cos().to(x_BtD.dtype), (0, 1), value=1.0)
        written = (gates.write_key * gates.key).flatten(2)[..., None] * wave_BtV[:, :, None]
        keys, last_keys = self.forget(written, gates.keep_key.flatten(2), state.keys, mask, begins)
        written = (gates.write_value * gates.value).flatten(2)[..., None] * wave_BtV[:, :, None, :r]
        values, last_values = self.forget(written, gates.keep_value.flatten(2), state.values, mask, begins)
        keys, values = (rearrange(z, "b t (h f) r -> b t h f r", h=self.heads) for z in (keys, values))
        scores_BtHR = torch.einsum("bthfr,bthf->bthr", keys, gates.query)
        total = torch.einsum("bthkr,bthr->bthk", values, scores_BtHR[..., :r])
        o = total / (2 * r * scores_BtHR[..., r:] + self.eps)
        return self.o(o.flatten(2)), last_keys, last_values


@dataclasses.dataclass(frozen=True, slots=True)
class GaLiTeState(State):
    """C [B, H · K · F], s [B, H · F], and the segment [B] of the last real token."""

    memory: Tensor
    total: Tensor
    segment: Tensor


class GaLiTe(Gated):
    """C_t = (1 − β γᵀ) ⊙ C_{t-1} + (β ⊙ v)(γ ⊙ φ(k))ᵀ, s_t = (1 − γ) ⊙ s_{t-1} + γ ⊙ φ(k), o_t = C_t φ(q) / (s_t·φ(q) + eps).

    The state that AGaLiTe approximates, with the decay of the authors' code: an entry forgets where both of its gates write.
    """

    tiny = {"heads": 2, "expand": 2}

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> GaLiTeState:
        features = self.heads * self.expand * self.width
        none = self.o.weight.new_full((batch,), -1, dtype=torch.long)
        return GaLiTeState(self.empty(batch, features * self.width), self.empty(batch, features), none)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, GaLiTeState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        y, memory, total = self.read(x_BtD, state, ctx.mask, begins)
        return y, GaLiTeState(memory, total, segment)

    def read(
        self, x_BtD: Tensor, state: GaLiTeState, mask: Tensor | None, begins: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        gates = self.gates(x_BtD)
        both = gates.log_value[..., None] + gates.keep_key[..., None, :]
        keep = log_add(gates.keep_value[..., None], both)  # 1 − β γ = (1 − β) + β (1 − γ)
        pairs = (gates.write_value * gates.value)[..., None] * (gates.write_key * gates.key)[..., None, :]
        c, memory = self.forget(pairs.flatten(2)[..., None], keep.flatten(2), state.memory[..., None], mask, begins)
        added = (gates.write_key * gates.key).flatten(2)[..., None]
        s, total = self.forget(added, gates.keep_key.flatten(2), state.total[..., None], mask, begins)
        c_BtHKF, s_BtHF = c.view(pairs.shape), s.view(gates.query.shape)
        mean = (c_BtHKF @ gates.query[..., None])[..., 0]
        mean = mean / ((s_BtHF * gates.query).sum(-1, keepdim=True) + self.eps)
        return self.o(mean.flatten(2)), memory[..., 0], total[..., 0]
