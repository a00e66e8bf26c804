"""Products of features times a weight of the distance: a_ts = φ(q_t)·φ(k_s) w_{s−t}.

w is a Toeplitz matrix, so Σ_s w_{s−t} φ(k_s) v_sᵀ is a convolution of each of F · V channels, O(T log T) by a Fourier transform (Luo et
al., Stable, Fast and Accurate, arXiv 2106.12566, section 3). Two forms: "reference" writes the weights out, "fourier" does not.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.forms import chosen

fft: Any = torch.fft  # whose stubs name no types


def relative_sums(q_BTHF: Tensor, k_BTHF: Tensor, v_BTHV: Tensor, w_HL: Tensor, *, causal: bool) -> Tensor:
    """[B, T, H, V]: Σ_s a_ts v_s over s <= t (`causal`) or all s. w [H, L = 2 T − 1]: the weight of s − t + T − 1.

    Half-precision inputs are computed in float32.
    """
    wide = torch.promote_types(v_BTHV.dtype, torch.float32)
    q, k, v, w = (x.to(wide) for x in (q_BTHF, k_BTHF, v_BTHV, w_HL))
    length = q.shape[1]
    if causal:
        w = w * (torch.arange(w.shape[1], device=w.device) < length)
    if chosen("fourier") == "reference":
        offset_TS = torch.arange(length, device=w.device) - torch.arange(length, device=w.device)[:, None]
        a_BHTS = torch.einsum("bthf,bshf->bhts", q, k) * w[:, offset_TS + length - 1]
        return torch.einsum("bhts,bshv->bthv", a_BHTS, v).to(v_BTHV.dtype)
    turn = (torch.arange(2 * length, device=w.device) + length - 1) % (2 * length)
    around_HL = F.pad(w, (0, 1))[:, turn]  # by (s − t) modulo 2 T
    pairs_BHFVT = torch.einsum("bthf,bthv->bhfvt", k, v)
    spectrum: Tensor = fft.rfft(pairs_BHFVT, n=2 * length) * fft.rfft(around_HL).conj()[:, None, None]
    mixed_BHFVT: Tensor = fft.irfft(spectrum, n=2 * length)[..., :length]
    return torch.einsum("bthf,bhfvt->bthv", q, mixed_BHFVT).to(v_BTHV.dtype)


def placed_sums(q_BTHF: Tensor, k_BSHF: Tensor, v_BSHV: Tensor, w_BHTS: Tensor) -> Tensor:
    """[B, T, H, V]: the same with weights for each pair, zero where t may not read s."""
    wide = torch.promote_types(v_BSHV.dtype, torch.float32)
    q, k, v, w = (x.to(wide) for x in (q_BTHF, k_BSHF, v_BSHV, w_BHTS))
    return torch.einsum("bhts,bshv->bthv", torch.einsum("bthf,bshf->bhts", q, k) * w, v).to(v_BSHV.dtype)
