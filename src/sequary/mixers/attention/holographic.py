"""Attention by holographic reduced representations: all pairs of key and value in one vector, asked by each query.

Alam et al., Recasting Self-Attention with Holographic Reduced Representations (arXiv 2305.19534), section 3.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import QKV, check_heads, join, linear

fft: Any = torch.fft  # whose stubs name no types


def bind(k: Tensor, v: Tensor) -> Tensor:
    """The spectrum [..., K / 2 + 1] of k ⊛ v, their circular convolution over the last axis."""
    bound: Tensor = fft.rfft(k) * fft.rfft(v)
    return bound


def unbind(bound: Tensor, q: Tensor) -> Tensor:
    """[..., K]: what is bound to q in a spectrum of sums, by q's approximate inverse q†_i = q_{−i mod K}: its spectrum is q's conjugate."""
    spectrum: Tensor = fft.rfft(q)
    found: Tensor = fft.irfft(spectrum.conj() * bound, n=q.shape[-1])
    return found


class HolographicAttention(Mixer):
    """β = Σ_t k_t ⊛ v_t,  v̂_t = q_t† ⊛ β,  w = softmax_t(cos(v̂_t, v_t)),  y_t = W_o (w_t v_t), H heads of width K = dim / H.

    A token only weighs its own value, against all tokens of its segment: time O(T K log K), no matrix. Half precision is computed in
    float32.
    """

    cost = 1.0

    def __init__(self, dim: int, *, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        check_heads(dim, heads)
        self.qkv = QKV(dim, width=dim, bias=False)
        self.o = linear(dim, dim, rank=None, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        wide = torch.promote_types(x_BTD.dtype, torch.float32)
        q, k, v = (t.to(wide) for t in self.qkv(x_BTD, None, self.heads))
        found = unbind(self.memory(bind(k, v), ctx), q)
        score_BHT = F.cosine_similarity(found, v, dim=-1)
        w_BHT = self.shares(score_BHT, ctx)
        ctx.tell("shares", lambda: w_BHT)
        return self.o(join(w_BHT[..., None] * v).to(x_BTD.dtype))

    def memory(self, bound_BHTK: Tensor, ctx: Ctx) -> Tensor:
        """[B, H, 1 or T, K]: the sum over the real tokens of each token's segment."""
        if ctx.mask is not None:
            bound_BHTK = bound_BHTK * ctx.mask[:, None, :, None]
        if ctx.segments is None:
            return bound_BHTK.sum(2, keepdim=True)
        same = ctx.segments[:, None, :, None] == ctx.segments[:, None, None, :]
        return torch.complex(
            same.to(bound_BHTK.real.dtype) @ bound_BHTK.real, same.to(bound_BHTK.real.dtype) @ bound_BHTK.imag
        )

    def shares(self, score_BHT: Tensor, ctx: Ctx) -> Tensor:
        """The softmax over the real tokens of each segment, 0 at padding."""
        least = torch.finfo(score_BHT.dtype).min
        if ctx.mask is not None:
            score_BHT = score_BHT.masked_fill(~ctx.mask[:, None], least)
        if ctx.segments is None:
            total = score_BHT.logsumexp(-1, keepdim=True)
        else:
            same = ctx.segments[:, None, :, None] == ctx.segments[:, None, None, :]
            total = score_BHT[:, :, None].masked_fill(~same, least).logsumexp(-1)
        w_BHT = (score_BHT - total).exp()
        return w_BHT if ctx.mask is None else w_BHT * ctx.mask[:, None]
