"""Attention centred at the identity, with a temperature that grows with the width (Noci et al., arXiv 2306.17759)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.attend import attend, weights


class Shaped(Mixer):
    """An interface: y = W_o (α softmax(q kᵀ / τ) + β I − γ C) v, C the mean over what a query sees, τ = `temperature` √(dim K).

    α, β, γ are learnt for each head and start at 1, where the matrix is near I whatever the depth. All weights start at a
    variance of 1 / dim. Knows no positions.
    """

    orders = True

    def __init__(self, dim: int, *, heads: int = 4, temperature: float = 1.0, bias: bool = False) -> None:
        super().__init__()
        self.heads, self.width = heads, check_heads(dim, heads)
        self.scale = 1 / (temperature * math.sqrt(dim * self.width))
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.o = nn.Linear(dim, dim, bias=bias)
        self.softmax, self.identity, self.centre = (nn.Parameter(torch.ones(heads)) for _ in range(3))
        for weight in (p for p in self.parameters() if p.dim() == 2):
            nn.init.normal_(weight, std=dim**-0.5)

    def mixed(self, mean_BHTV: Tensor, own_BHTV: Tensor, centre_BHTV: Tensor) -> Tensor:
        """[B, T, D] from what softmax read, each token's own value, and the plain mean."""
        parts = ((self.softmax, mean_BHTV), (self.identity, own_BHTV), (-self.centre, centre_BHTV))
        return self.o(join(torch.stack([gain[:, None, None] * x for gain, x in parts]).sum(0)))


class ShapedAttention(Shaped):
    """Over all real tokens, or those that `ctx.order` lets t see: the paper's own."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q, k, v = self.qkv(x_BTD, None, self.heads)
        sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=False)
        ctx.tell("attention", lambda: weights(q, k, sees=sees, scale=self.scale))
        centre = v.mean(2, keepdim=True).expand_as(v) if sees is None else mean_of_seen(v, sees)
        return self.mixed(attend(q, k, v, sees=sees, scale=self.scale), v, centre)


class CausalShapedAttention(Shaped, Recurrent):
    """Over s <= t, or what `ctx.order` says is known: C_ts = 1 / (t + 1), as He & Hofmann (arXiv 2311.01906) have it."""

    grows = True

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q, k, v = self.qkv(x_BTD, None, self.heads)
        sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=True)
        ctx.tell("attention", lambda: weights(q, k, sees=sees, causal=sees is None, scale=self.scale))
        centre = running_mean(v) if sees is None else mean_of_seen(v, sees)
        return self.mixed(attend(q, k, v, sees=sees, causal=sees is None, scale=self.scale), v, centre)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return Cache.empty(batch, self.heads, self.width, self.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Cache)
        q, k, v = self.qkv(x_BtD, None, self.heads)
        state, sees = state.extend(k, v, ctx)
        read = attend(q, state.k, state.v, sees=sees, scale=self.scale)
        return self.mixed(read, v, mean_of_seen(state.v, sees)), state


def running_mean(v_BHTV: Tensor) -> Tensor:
    """Of the values up to each token; summed in float32 at least."""
    total = v_BHTV.cumsum(2, dtype=torch.promote_types(v_BHTV.dtype, torch.float32))
    count = torch.arange(1, v_BHTV.shape[2] + 1, device=v_BHTV.device)[:, None]
    return (total / count).to(v_BHTV.dtype)


def mean_of_seen(v_BHSV: Tensor, sees_BTS: Tensor) -> Tensor:
    """[B, H, T, V]; zeros for a query that sees nothing."""
    share = sees_BTS.to(v_BHSV.dtype) / sees_BTS.sum(-1, keepdim=True).clamp(min=1).to(v_BHSV.dtype)
    return share[:, None] @ v_BHSV
