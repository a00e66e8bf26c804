"""Attention whose weights are products of features, a_ts = φ(q_t)·φ(k_s), over all keys: o_t = Σ_s a_ts v_s and Σ_s a_ts.

Two forms: "reference" writes the weights out, T² of them; "factored" sums φ(k_s) v_sᵀ first (Katharopoulos et al., 2006.16236,
eq. 4 to 6), which is linear in T, but only where every query reads the same keys. The causal sums are `linear_attend`'s.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.forms import chosen


def with_ones(v_BTHV: Tensor) -> Tensor:
    """Values with a column of ones behind them, whose weighted sum is the sum of the weights."""
    return F.pad(v_BTHV, (0, 1), value=1.0)


def mean(sums_BTHV: Tensor, eps: float) -> Tensor:
    """Of values summed `with_ones`: Σ a v / (Σ a + eps)."""
    return sums_BTHV[..., :-1] / (sums_BTHV[..., -1:] + eps)


def kernel_sums(
    q_BTHF: Tensor, k_BSHF: Tensor, v_BSHV: Tensor, *, mask: Tensor | None = None, sees: Tensor | None = None
) -> Tensor:
    """[B, T, H, V]: Σ_s a_ts v_s over the keys of `mask` [B, S], or those that `sees` [B, T, S] lets t read.

    Half-precision inputs are computed in float32.
    """
    wide = torch.promote_types(v_BSHV.dtype, torch.float32)
    q, k, v = (x.to(wide) for x in (q_BTHF, k_BSHF, v_BSHV))
    if mask is not None:
        k = k.masked_fill(~mask[..., None, None], 0)
    if sees is None and chosen("factored") != "reference":
        memory_BHFV = torch.einsum("bshf,bshv->bhfv", k, v)
        return torch.einsum("bthf,bhfv->bthv", q, memory_BHFV).to(v_BSHV.dtype)
    a_BHTS = torch.einsum("bthf,bshf->bhts", q, k)
    if sees is not None:
        a_BHTS = a_BHTS * sees[:, None]
    return torch.einsum("bhts,bshv->bthv", a_BHTS, v).to(v_BSHV.dtype)
