"""Attention over channels and time whose scores are content, lag and distance apart (Carzaniga et al., arXiv 2506.20354)."""

from __future__ import annotations

import dataclasses
import math

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import check_heads, join, split
from sequary.mixers.grids import grid_of


class VariateAttention(Mixer):
    """o_ic = W_o Σ softmax(a) v_jd over the channels d of all steps j <= i of a grid (steps, channels);

    a = ([(i − j) <= `window`] (q_ic + z)·k_jd + (q_ic + u)·(W_R r_{i−j}) + (q_ic + w)·(W_C s_{|c−d|})) / √K.

    Beyond the window content does not score, but its keys are still read by lag and distance. r, s: learned vectors of `lags` lags and
    `distances` distances; greater ones share the last. `kv_heads` < `heads`: keys, values and biases shared by heads in a row. Causal in
    steps, not in cells: a cell reads all channels of its own step.
    """

    tiny = {"heads": 2, "window": 1}
    dims = (2,)

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        kv_heads: int | None = None,
        window: int = 10,
        lags: int = 100,
        distances: int = 128,
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.window = heads, heads if kv_heads is None else kv_heads, window
        self.width = check_heads(dim, heads)
        if heads % self.kv_heads:
            raise ValueError(f"kv_heads={kv_heads} does not divide heads={heads}")
        self.scale, shared = 1 / math.sqrt(self.width), self.kv_heads * self.width
        self.q = nn.Linear(dim, dim, bias=False)
        self.k, self.v, self.lag, self.distance = (nn.Linear(dim, shared, bias=False) for _ in range(4))
        self.biases = nn.Parameter(0.02 * torch.randn(3, shared))
        """z, u, w."""
        self.lags, self.distances = (nn.Parameter(0.02 * torch.randn(n, dim)) for n in (lags, distances))
        self.o = nn.Linear(dim, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        assert ctx.grid is not None
        steps, channels = ctx.grid
        device = x_BTD.device
        lags, distances = (
            table[torch.arange(n, device=device).clamp(max=len(table) - 1)][None]
            for table, n in ((self.lags, steps), (self.distances, channels))
        )
        return self.mix(x_BTD, ctx, lags, distances, self.near(steps, device))

    def near(self, steps: int, device: torch.device) -> Tensor:
        """[steps, steps] bool: does content score?"""
        at = torch.arange(steps, device=device)
        return at[:, None] - at <= self.window

    def mix(self, x_BTD: Tensor, ctx: Ctx, lags: Tensor, distances: Tensor, near: Tensor) -> Tensor:
        """`lags` [B or 1, steps, D] and `distances` [B or 1, channels, D]: the vectors of 0, 1, 2 …"""
        steps, channels = lags.shape[1], distances.shape[1]
        q, k, v = split(self.q(x_BTD), self.heads), self._shared(self.k(x_BTD)), self._shared(self.v(x_BTD))
        z, u, w = self._shared(self.biases[None])[0].unbind(1)
        step = torch.arange(steps, device=x_BTD.device).repeat_interleave(channels)
        channel = torch.arange(channels, device=x_BTD.device).repeat(steps)
        back, apart = step[:, None] - step, (channel[:, None] - channel).abs()
        content = ((q + z[:, None]) @ k.mT).masked_fill(~near[step[:, None], step], 0)
        by_lag = (q + u[:, None]) @ self._shared(self.lag(lags)).mT
        by_distance = (q + w[:, None]) @ self._shared(self.distance(distances)).mT
        scores = content + _picked(by_lag, back.clamp(min=0)) + _picked(by_distance, apart)
        sees = dataclasses.replace(ctx, order=None).sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=False)
        allowed = (back >= 0)[None] if sees is None else (back >= 0) & sees
        weights = _softmax(scores * self.scale, allowed[:, None])
        ctx.tell("attention", lambda: weights)
        return self.o(join(weights @ v))

    def _shared(self, x_BSD: Tensor) -> Tensor:
        """[B, S, kv_heads · K] -> [B, H, S, K]."""
        x = rearrange(x_BSD, "b s (h k) -> b h s k", h=self.kv_heads)
        return repeat(x, "b h s k -> b (h g) s k", g=self.heads // self.kv_heads)


def _picked(scores_BHTN: Tensor, index_TS: Tensor) -> Tensor:
    """[B, H, T, S]: score number `index_TS[t, s]` of query t."""
    return scores_BHTN.gather(3, index_TS.expand(*scores_BHTN.shape[:2], -1, -1))


def _softmax(scores: Tensor, allowed: Tensor) -> Tensor:
    # A finite fill keeps the gradient finite where a row sees nothing; such rows are zeroed afterwards.
    filled = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
    return filled.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(scores.dtype) * allowed
