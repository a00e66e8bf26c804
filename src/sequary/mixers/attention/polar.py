"""Attention on queries and keys in polar form, whose phases each head scales in its own way (ComplexFormer, arXiv 2505.10222)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.attend import attend, weights


class PolarAttention(Recurrent):
    """o_t = Σ_s softmax_s(Σ_i r_{q,i} r_{k,i} cos(a_i (θ_{q,i} − θ_{k,i}) + b_i + d_i ω_i (t − s)) / √K) v_s over s <= t.

    r and θ are amplitude and phase of the pair (first half, second half) i of a query or key, ω_i = base^(−2i/K). Each head learns how it
    scales and shifts the phase of meaning, a and b, and how fast that of position turns, d. At a = 1, b = 0, d = 1 it is rotary attention.
    Phases lie in (−π, π]: where a is no whole number, scores jump as a query crosses the cut.
    """

    orders = True
    grows = True

    def __init__(self, dim: int, *, heads: int = 4, base: float = 10_000.0) -> None:
        super().__init__()
        self.heads, self.base, self.width = heads, base, check_heads(dim, heads)
        if self.width % 2:
            raise ValueError(f"heads={heads} of dim={dim} are {self.width} wide; phases need an even number")
        self.qkv = QKV(dim, width=dim, bias=False)
        pairs = (heads, 1, self.width // 2)
        self.scale, self.turn = nn.Parameter(torch.ones(pairs)), nn.Parameter(torch.ones(pairs))
        self.shift = nn.Parameter(torch.zeros(pairs))
        self.o = nn.Linear(dim, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v = self._project(x_BTD, ctx.position_ids(batch, length, x_BTD.device))
        sees = ctx.sees(batch, length, x_BTD.device, causal=True)
        ctx.tell("attention", lambda: weights(q, k, sees=sees, causal=sees is None))
        return self.o(join(attend(q, k, v, sees=sees, causal=sees is None)))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return Cache.empty(batch, self.heads, self.width, self.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Cache)
        q, k, v = self._project(x_BtD, state.positions(ctx, x_BtD.shape[0], x_BtD.shape[1]))
        state, sees = state.append(k, v, ctx)
        return self.o(join(attend(q, state.k, state.v, sees=sees))), state

    def _project(self, x_BtD: Tensor, positions_Bt: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The cosine of a difference is a product of the two: queries and keys are written back as pairs."""
        q, k, v = self.qkv(x_BtD, None, self.heads)
        return self._turned(q, positions_Bt, self.shift), self._turned(k, positions_Bt, None), v

    def _turned(self, x_BHtK: Tensor, positions_Bt: Tensor, shift: Tensor | None) -> Tensor:
        real, imaginary = x_BHtK.chunk(2, -1)
        none = (real == 0) & (imaginary == 0)  # has no phase, and no derivative of its amplitude
        real = torch.where(none, 1, real)
        amplitude = torch.where(none, 0, (real.square() + imaginary.square()).sqrt())
        half = self.width // 2
        rate = self.base ** (-torch.arange(half, device=x_BHtK.device, dtype=torch.float64) / half)
        phase = self.scale * torch.atan2(imaginary, real)
        if shift is not None:
            phase = phase + shift
        # In float64: in bfloat16 a late position's angle is off by a radian.
        angle = phase.double() + positions_Bt[:, None, :, None] * rate * self.turn.double()
        return torch.cat((amplitude * angle.cos().to(amplitude), amplitude * angle.sin().to(amplitude)), -1)
