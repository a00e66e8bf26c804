"""Causal linear attention: a matrix of memory that each token adds to, which may forget.

    S_t = diag(exp(g_t)) S_{t-1} + k_t v_tᵀ          S [B, H, K, V], g <= 0 (minus infinity drops the state)
    o_t = S_tᵀ q_t

Without g nothing is forgotten (Katharopoulos et al., 2006.16236); g of width 1 is a rate a head (retention, Mamba-2); of width K, a
rate for each key entry (Yang et al., Gated Linear Attention Transformers, 2312.06635, sections 4.1 and 4.2).

Queries and keys may serve groups of heads: q and k [B, T, G, K] beside v [B, T, G·r, V], as in Mamba-2.

Forms: `reference`, a plain loop (any derivative); `chunked` (linear_attend_chunked.py; at one rate a head linear_attend_headwise.py; for
many heads of one key entry linear_attend_channelwise.py), exact for any gate; and `kernels` on a GPU (kernels.py).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.ops import kernels
from sequary.ops.forms import chosen
from sequary.ops.linear_attend_channelwise import HEADS, channelwise
from sequary.ops.linear_attend_chunked import chunked
from sequary.ops.linear_attend_headwise import headwise


def linear_attend(
    q_BTHK: Tensor, k_BTHK: Tensor, v_BTHV: Tensor, g_BTHK: Tensor | None, S_BHKV: Tensor
) -> tuple[Tensor, Tensor]:
    """(o [B, T, H, V], state after the last token [B, H, K, V]). T >= 1; the last axis of g is K or 1.

    Half-precision inputs are computed in float32, but by kernels. T up to 2 without gradients, a decoder's step, takes the loop.
    """
    if g_BTHK is not None and g_BTHK.shape[-1] not in (1, k_BTHK.shape[-1]):
        raise ValueError(f"g has {g_BTHK.shape[-1]} rates a head; one, or one for each of {k_BTHK.shape[-1]} keys")
    heads, shared = v_BTHV.shape[2], q_BTHK.shape[2]
    if heads % shared:
        raise ValueError(f"{shared} heads of q and k do not divide the {heads} of v")
    picked = chosen(kernels.usual(v_BTHV))
    if picked == "kernels":
        kernels.check(v_BTHV)
        q, k = (x.to(v_BTHV.dtype).repeat_interleave(heads // shared, 2) for x in (q_BTHK, k_BTHK))
        o_BTHV, last_BHKV = kernels.linear(q, k, v_BTHV, g_BTHK, S_BHKV)
        return o_BTHV, last_BHKV.to(S_BHKV.dtype)
    wide = torch.float64 if v_BTHV.dtype == torch.float64 else torch.float32
    q, k, v, S = (x.to(wide) for x in (q_BTHK, k_BTHK, v_BTHV, S_BHKV))
    g = None if g_BTHK is None else g_BTHK.to(wide)
    plain = picked == "reference"
    if not plain and g is not None and k.shape[-1] == 1 and heads == shared >= HEADS:
        o_BTHV, last_BHKV = channelwise(q, k, v, g, S)
    elif not plain and g is not None and g.shape[-1] == 1:
        o_BTHV, last_BHKV, _ = headwise(q, k, v, g, S)
    else:
        q, k = (x.repeat_interleave(heads // shared, 2) if heads > shared else x for x in (q, k))
        o_BTHV, last_BHKV = _reference(q, k, v, g, S) if plain else chunked(q, k, v, g, S)[:2]
    return o_BTHV.to(v_BTHV.dtype), last_BHKV.to(S_BHKV.dtype)


def _reference(
    q_BTHK: Tensor, k_BTHK: Tensor, v_BTHV: Tensor, g_BTHK: Tensor | None, S_BHKV: Tensor
) -> tuple[Tensor, Tensor]:
    state = S_BHKV
    outputs: list[Tensor] = []
    for t in range(q_BTHK.shape[1]):
        if g_BTHK is not None:
            state = g_BTHK[:, t].exp()[..., None] * state
        state = state + k_BTHK[:, t, ..., None] * v_BTHV[:, t, :, None]
        outputs.append((q_BTHK[:, t, ..., None] * state).sum(-2))
    return torch.stack(outputs, 1), state
