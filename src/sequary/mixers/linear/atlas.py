"""ATLAS: a matrix of memory a head that each token trains on a window of the context, with polynomial keys and Muon's steps.

Behrouz et al., ATLAS: Learning to Optimally Memorize the Context at Test Time (arXiv 2505.23735).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections import Counter

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.linear.delta import OutputGate, unit
from sequary.mixers.linear.delta_gates import heads_of
from sequary.ops.causal_conv import starts
from sequary.ops.omega import omega
from sequary.ops.taps import taps


class Powers(nn.Module):
    """x [..., K] -> a unit vector along [a_1 x, a_2 x⊗x, …]: all products of up to `degree` entries, a_i from 1 / i! on.

    Each set of entries comes once, times the root of how many orders it has: before they are made unit vectors, features have the
    product Σ_i a_i² (q·k)^i.
    """

    def __init__(self, dim: int, *, degree: int = 2) -> None:
        super().__init__()
        if not 1 <= degree <= 3:
            raise ValueError(f"degree={degree}: 1, 2 or 3; the number of features grows with its power")
        self.share = nn.Parameter(torch.tensor([1 / math.factorial(i + 1) for i in range(degree)]))
        self.width = sum(math.comb(dim + i, i + 1) for i in range(degree))
        for n in range(2, degree + 1):
            at = list(itertools.combinations_with_replacement(range(dim), n))
            orders = [math.factorial(n) / math.prod(math.factorial(m) for m in Counter(a).values()) for a in at]
            self.register_buffer(f"at_{n}", torch.tensor(at), persistent=False)
            self.register_buffer(f"orders_{n}", torch.tensor(orders).sqrt(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        found = [self.share[0] * x]
        for n, share in enumerate(self.share[1:], 2):
            factors = x[..., self.get_buffer(f"at_{n}")].unbind(-1)
            found.append(share * functools.reduce(torch.mul, factors, self.get_buffer(f"orders_{n}")))
        return unit(torch.cat(found, -1))


@dataclasses.dataclass(frozen=True, slots=True)
class AtlasState(State):
    """Memory and momentum [B, H, F, V], in float32 at least; the last c − 1 real tokens' features, values and weights
    [B, c − 1, H · (F + V + 1)]; the state of the short convolution; the segment [B] of the last real token."""

    memory: Tensor
    momentum: Tensor
    past: Tensor
    conv: State
    segment: Tensor


class Atlas(Recurrent):
    """M_t = α_t M_{t−1} − η_t U(S_t),  S_t = θ_t S_{t−1} + Σ_{i=t−c+1}^t (γ_i / c) φ(k_i) (M_{t−1}ᵀ φ(k_i) − v_i)ᵀ,  o_t = M_tᵀ φ(q_t);
    y = W_o (RMSNorm(o) ⊙ gate(x)), H = `heads` memories of F features times V = `value`.

    c = `window` tokens, φ of `degree` over K = `key` entries; U: `rounds` of Newton-Schulz, 0 for plain gradients. α, η, θ and γ are
    σ of maps of the token, one a head. q, k and v pass through `conv` and SiLU.
    """

    cost = 1.0
    tiny = {"heads": 2, "key": 3, "value": 4, "window": 3}

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        key: int = 8,
        value: int = 16,
        window: int = 8,
        degree: int = 2,
        rounds: int = 5,
        conv: Part[Recurrent] = part(ShortConv, bias=False),
        gate: Part[OutputGate] = part(OutputGate),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        if window < 1:
            raise ValueError(f"window={window}: a step looks at one token at least")
        self.heads, self.key, self.value, self.window, self.rounds = heads, key, value, window, rounds
        self.widths = heads * key, heads * key, heads * value
        self.qkv = nn.Linear(dim, sum(self.widths), bias=False)
        self.conv, self.act = conv.build(Place.here(place, sum(self.widths))), nn.SiLU()
        self.features = Powers(key, degree=degree)
        self.rates = nn.Linear(dim, 4 * heads)
        with torch.no_grad():  # α near 1, η = 1/2 (a tenth of it for steps of length 1), θ near 0, γ = 1/2
            start = torch.tensor([4.0, 0.0 if rounds == 0 else -2.0, -2.0, 0.0])
            self.rates.bias.copy_(start.repeat_interleave(heads))
        self.norm = nn.RMSNorm(value, eps=1e-5)
        self.gate = gate.but(width=heads * value).build(Place.here(place, dim))
        self.o = nn.Linear(heads * value, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> AtlasState:
        like, width = self.o.weight, self.features.width
        wide = torch.promote_types(like.dtype, torch.float32)
        empty = like.new_zeros(batch, self.heads, width, self.value, dtype=wide)
        past = like.new_zeros(batch, self.window - 1, self.heads * (width + self.value + 1), dtype=wide)
        return AtlasState(
            empty, empty, past, self.conv.init_state(batch), like.new_full((batch,), -1, dtype=torch.long)
        )

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, AtlasState]:
        assert isinstance(state, AtlasState)
        qkv, conv = self.conv.step(self.qkv(x_BtD), state.conv, ctx)
        wide = state.memory.dtype
        q, k, v = (heads_of(x, self.heads).to(wide) for x in self.act(qkv).split(self.widths, -1))
        q, k = self.features(q).to(wide), self.features(k).to(wide)
        rates_4BtH = self.rates(x_BtD).to(wide).sigmoid().unflatten(-1, (4, self.heads)).permute(2, 0, 1, 3)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        told = torch.cat((k, v, rates_4BtH[3][..., None]), -1).flatten(2)
        near, past = taps(told, state.past, mask_BT=ctx.mask, starts_BT=begins)
        window = torch.stack([heads_of(n, self.heads) for n in near], 3)
        rates = rates_4BtH[:3]
        if ctx.mask is not None:  # padding is no step
            real = ctx.mask[..., None]
            still = torch.stack([torch.full_like(rates[0], r) for r in (1.0, 0.0, 1.0)])
            rates = torch.where(real, rates, still)
            window = window * real[..., None, None]
        fresh = torch.ones_like(rates[0, ..., 0]) if begins is None else (~begins).to(wide)
        edge = self.features.width
        k, v, gamma = window[..., :edge], window[..., edge:-1], window[..., -1]
        o, memory, momentum = omega(
            q, k, v, gamma / self.window, rates, fresh, state.memory, state.momentum, self.rounds
        )
        y_BtHV = self.norm(o.to(x_BtD.dtype)).flatten(2) * self.gate(x_BtD)
        return self.o(y_BtHV), AtlasState(memory, momentum, past, conv, segment)
