"""Softmax attention, o = softmax(q kᵀ · scale + bias) v, over the keys that each query may see."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.forms import chosen


def weights(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    *,
    sees: Tensor | None = None,
    causal: bool = False,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """[B, H, T, S] attention weights. A query that sees nothing gets zeros, not NaN.

    `sees` is bool, True = may read, broadcastable to [B, H, T, S] ([B, T, S] is taken as the same for all heads); `bias` is
    added to the scaled scores and broadcasts likewise; `scale` is 1/√K unless given.
    """
    scores = q_BHTK @ k_BHSK.transpose(-1, -2) * (1 / math.sqrt(q_BHTK.shape[-1]) if scale is None else scale)
    if bias is not None:
        scores = scores + bias
    allowed = _allowed(sees, causal, scores.shape[-2], scores.shape[-1], scores.device)
    if allowed is None:
        return scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(scores.dtype)
    # A finite fill keeps the gradient finite where a row sees nothing; such rows are zeroed afterwards.
    filled = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
    return filled.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(scores.dtype) * allowed


def attend(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    v_BHSV: Tensor,
    *,
    sees: Tensor | None = None,
    causal: bool = False,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """[B, H, T, V]. Forms: "reference" (the products written out), "sdpa" (torch's fused one, the default but where `_slow`)."""
    plain = sees is None and bias is None and not causal
    if chosen("reference" if _slow(q_BHTK, k_BHSK.shape[-2], plain) else "sdpa") == "reference":
        return weights(q_BHTK, k_BHSK, sees=sees, causal=causal, bias=bias, scale=scale) @ v_BHSV
    if sees is None and bias is None:
        return F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSV, is_causal=causal, scale=scale)
    allowed = _allowed(sees, causal, q_BHTK.shape[-2], k_BHSK.shape[-2], q_BHTK.device)
    if bias is None:
        assert allowed is not None
        out = F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSV, attn_mask=allowed, scale=scale)
        return torch.where(allowed.any(-1, keepdim=True), out, 0.0)  # older kernels give NaN to a row that sees nothing
    added = bias.to(q_BHTK.dtype)
    if allowed is not None:
        added = added.masked_fill(~allowed, torch.finfo(q_BHTK.dtype).min)
    out = F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSV, attn_mask=added, scale=scale)
    return out if allowed is None else torch.where(allowed.any(-1, keepdim=True), out, 0.0)


def _slow(q: Tensor, keys: int, plain: bool) -> bool:
    """Whether both passes of torch's fused attention take longer than the products: on a CPU, for bfloat16 up to 64 keys (2 to 10
    times), and without any mask for 17 to 63, where something is learnt (1 to 2 times, most where 16 does not divide them).
    `python benchmarks/attention.py`."""
    if q.device.type != "cpu" or torch.compiler.is_compiling():  # a graph serves all lengths
        return False
    return keys <= 64 if q.dtype == torch.bfloat16 else plain and 16 < keys < 64 and torch.is_grad_enabled()


def _allowed(sees: Tensor | None, causal: bool, t: int, s: int, device: torch.device) -> Tensor | None:
    """[B or 1, H or 1, T, S] bool, or None where all is allowed. Causal queries are the last `t` of `s` positions."""
    allowed = sees.unsqueeze(1) if sees is not None and sees.dim() == 3 else sees
    if not causal:
        return allowed
    past = torch.ones(t, s, dtype=torch.bool, device=device).tril(s - t)
    return past if allowed is None else allowed & past
