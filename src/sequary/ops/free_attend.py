"""Attention without queries in its weights, each channel apart: o_t = Σ_s exp(k_s + w_ts) v_s / Σ_s exp(k_s + w_ts).

Zhai et al., An Attention Free Transformer (arXiv 2105.14103), eq. 2. Two forms: "reference", a softmax over s of [B, T, S, D]; and
"products", two products with exp(w), for queries that all see the same keys. That one takes maxima over keys for k and for w apart, and is
exact while the biases w of a query differ by less than 80 (float32; 700 in float64).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.ops.forms import chosen


def free_attend(
    k_BSD: Tensor,
    v_BSD: Tensor,
    w_BTS: Tensor | None,
    *,
    sees_BTS: Tensor | None = None,
    real_BS: Tensor | None = None,
) -> Tensor:
    """[B, T, D]; `w` [1 or B, T, S], None: zeros and T = 1. `sees`: by query and key; `real`: by key alone. Who sees nothing gets 0."""
    lowest = torch.finfo(k_BSD.dtype).min
    if real_BS is not None:
        k_BSD = k_BSD.masked_fill(~real_BS[..., None], lowest)
    if sees_BTS is None and chosen("products") != "reference":
        found_BTD = _products(k_BSD, v_BSD, w_BTS)
    else:
        logits_BTSD = k_BSD[:, None] if w_BTS is None else k_BSD[:, None] + w_BTS[..., None]
        if sees_BTS is not None:
            logits_BTSD = logits_BTSD.masked_fill(~sees_BTS[..., None], lowest)
        found_BTD = (logits_BTSD.softmax(2) * v_BSD[:, None]).sum(2)
    if sees_BTS is not None:
        return found_BTD * sees_BTS.any(-1, keepdim=True)
    return found_BTD if real_BS is None else found_BTD * real_BS.any(-1)[:, None, None]


def _products(k_BSD: Tensor, v_BSD: Tensor, w_BTS: Tensor | None) -> Tensor:
    e_BSD = (k_BSD - k_BSD.amax(1, keepdim=True).detach()).exp()
    if w_BTS is None:
        return (e_BSD * v_BSD).sum(1, keepdim=True) / e_BSD.sum(1, keepdim=True)
    f_BTS = (w_BTS - w_BTS.amax(-1, keepdim=True).detach()).exp()
    return (f_BTS @ (e_BSD * v_BSD)) / (f_BTS @ e_BSD)
