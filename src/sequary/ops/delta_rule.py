"""The delta rule: linear attention whose memory takes back what it had stored under a key before it writes there.

    S_t = diag(exp(g_t)) S_{t-1} + k_t u_tᵀ,   u_t = v_t − (diag(exp(g_t)) S_{t-1})ᵀ e_t          S [B, H, K, V]
    o_t = S_tᵀ q_t

k is where the token writes, e where it reads what to take back. With a strength β in (0, 1), or to 2: e = β k and v = β v are DeltaNet
(Yang et al., 2406.06484); with g of width 1, a rate a head, Gated DeltaNet (2412.06464); with g of width K, Kimi's delta attention; and
with gates of their own on e and v, Gated DeltaNet-2. Without g nothing is forgotten but what is overwritten.

Forms: `reference`, a plain loop (any derivative); `chunked` (delta_rule_chunked.py); and `kernels` on a GPU (kernels.py).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.ops import kernels
from sequary.ops.delta_rule_chunked import chunked
from sequary.ops.forms import chosen


def delta_rule(
    q_BTHK: Tensor, k_BTHK: Tensor, v_BTHV: Tensor, e_BTHK: Tensor, g_BTHK: Tensor | None, S_BHKV: Tensor
) -> tuple[Tensor, Tensor]:
    """(o [B, T, H, V], state after the last token [B, H, K, V]). T >= 1; the last axis of g is K or 1.

    Half-precision inputs are computed in float32, but by kernels. T up to 2 without gradients, a decoder's step, takes the loop.
    """
    if g_BTHK is not None and g_BTHK.shape[-1] not in (1, k_BTHK.shape[-1]):
        raise ValueError(f"g has {g_BTHK.shape[-1]} rates a head; one, or one for each of {k_BTHK.shape[-1]} keys")
    picked = chosen(kernels.usual(v_BTHV))
    if picked == "kernels":
        kernels.check(v_BTHV)
        q, k, e = (x.to(v_BTHV.dtype) for x in (q_BTHK, k_BTHK, e_BTHK))
        o_BTHV, last_BHKV = kernels.delta(q, k, v_BTHV, e, g_BTHK, S_BHKV)
        return o_BTHV, last_BHKV.to(S_BHKV.dtype)
    wide = torch.float64 if v_BTHV.dtype == torch.float64 else torch.float32
    q, k, v, e, S = (x.to(wide) for x in (q_BTHK, k_BTHK, v_BTHV, e_BTHK, S_BHKV))
    g = None if g_BTHK is None else g_BTHK.to(wide)
    if picked == "reference":
        o_BTHV, last_BHKV = _reference(q, k, v, e, g, S)
    else:
        o_BTHV, last_BHKV, _ = chunked(q, k, v, e, g, S)
    return o_BTHV.to(v_BTHV.dtype), last_BHKV.to(S_BHKV.dtype)


def _reference(
    q_BTHK: Tensor, k_BTHK: Tensor, v_BTHV: Tensor, e_BTHK: Tensor, g_BTHK: Tensor | None, S_BHKV: Tensor
) -> tuple[Tensor, Tensor]:
    state = S_BHKV
    outputs: list[Tensor] = []
    for t in range(q_BTHK.shape[1]):
        if g_BTHK is not None:
            state = g_BTHK[:, t].exp()[..., None] * state
        u_BHV = v_BTHV[:, t] - (e_BTHK[:, t, ..., None] * state).sum(-2)
        state = state + k_BTHK[:, t, ..., None] * u_BHV[..., None, :]
        outputs.append((q_BTHK[:, t, ..., None] * state).sum(-2))
    return torch.stack(outputs, 1), state
