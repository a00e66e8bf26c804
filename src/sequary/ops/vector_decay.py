"""Linear attention whose state forgets at a rate of its own in each key dimension (gated linear attention).

    S_t = diag(exp(g_t)) S_{t-1} + k_t v_tᵀ          S [B, H, K, V], g <= 0 (minus infinity drops the state)
    o_t = S_tᵀ q_t

Yang et al., Gated Linear Attention Transformers (arXiv 2312.06635), sections 4.1 and 4.2.

Two forms: `reference`, a plain loop (any derivative), and `chunked` (vector_decay_chunked.py), exact for any gate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.ops.forms import chosen
from sequary.ops.vector_decay_chunked import chunked


def vector_decay(
    q_BTHK: Tensor, k_BTHK: Tensor, v_BTHV: Tensor, g_BTHK: Tensor, S_BHKV: Tensor
) -> tuple[Tensor, Tensor]:
    """(o [B, T, H, V], state after the last token [B, H, K, V]). T >= 1. Half-precision inputs are computed in float32."""
    if chosen("chunked") == "reference":
        return _reference(q_BTHK, k_BTHK, v_BTHV, g_BTHK, S_BHKV)
    wide = torch.float64 if v_BTHV.dtype == torch.float64 else torch.float32
    o_BTHV, last_BHKV, _ = chunked(*(x.to(wide) for x in (q_BTHK, k_BTHK, v_BTHV, g_BTHK, S_BHKV)))
    return o_BTHV.to(v_BTHV.dtype), last_BHKV.to(S_BHKV.dtype)


def _reference(q_BTHK: Tensor, k_BTHK: Tensor, v_BTHV: Tensor, g_BTHK: Tensor, S_BHKV: Tensor) -> tuple[Tensor, Tensor]:
    state = S_BHKV
    outputs: list[Tensor] = []
    for q_BHK, k_BHK, v_BHV, g_BHK in zip(
        q_BTHK.unbind(1), k_BTHK.unbind(1), v_BTHV.unbind(1), g_BTHK.unbind(1), strict=True
    ):
        state = g_BHK.exp()[..., None] * state + k_BHK[..., None] * v_BHV[..., None, :]
        outputs.append((q_BHK[..., None] * state).sum(-2))
    return torch.stack(outputs, 1), state
