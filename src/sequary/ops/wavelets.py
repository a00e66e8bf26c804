"""Two-channel filter banks: a sequence into its coarse half and what that lacks, and back; and Daubechies' filters.

    a[k] = Σ_m low[m] x[2k + m],  d[k] = Σ_m high[m] x[2k + m],  high[m] = (−1)^m low[L − 1 − m]
    x[t] = Σ_k low[t − 2k] a[k] + high[t − 2k] d[k]          exact if Σ_m low[m] low[m + 2j] is 1 at j = 0 and 0 elsewhere

Each channel has filters of its own, [L, D] with L even. What lies beyond the ends is the caller's affair.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def mirror(low_LD: Tensor) -> Tensor:
    """The high pass of a low pass: reversed, every second sign turned."""
    sign_L = 1 - 2 * (torch.arange(low_LD.shape[0], device=low_LD.device) % 2)
    return low_LD.flip(0) * sign_L[:, None].to(low_LD.dtype)


def analyse(x_BTD: Tensor, low_LD: Tensor, high_LD: Tensor) -> tuple[Tensor, Tensor]:
    """(a, d), each [B, (T − L) // 2 + 1, D]."""
    both = F.conv1d(x_BTD.mT, _bank(low_LD, high_LD), stride=2, groups=x_BTD.shape[2])
    return both[:, ::2].mT, both[:, 1::2].mT


def synthesise(a_BKD: Tensor, d_BKD: Tensor, low_LD: Tensor, high_LD: Tensor) -> Tensor:
    """[B, 2 (K − 1) + L, D]."""
    both = torch.stack((a_BKD, d_BKD), -1).flatten(2).mT
    return F.conv_transpose1d(both, _bank(low_LD, high_LD), stride=2, groups=a_BKD.shape[2]).mT


def _bank(low_LD: Tensor, high_LD: Tensor) -> Tensor:
    return torch.stack((low_LD, high_LD)).permute(2, 0, 1).flatten(0, 1)[:, None]


def daubechies(taps: int) -> Tensor:
    """[L] in float64: the low pass with L / 2 vanishing moments and least phase, in the order in which `analyse` reads it.

    From the roots of Σ_k C(N − 1 + k, k) y^k, y = (2 − z − 1/z) / 4, those with |z| < 1. Good to 1e-9 up to 40 taps.
    """
    if taps < 2 or taps % 2 or taps > 40:
        raise ValueError(f"taps={taps}: Daubechies' filters have 2, 4 … 40 taps here")
    moments = taps // 2
    y = np.roots([math.comb(moments - 1 + k, k) for k in reversed(range(moments))])
    half = 1 - 2 * y
    z = half + np.sqrt(half**2 - 1 + 0j)
    z = np.where(abs(z) < 1, z, 1 / z)
    low = np.real(np.poly(np.concatenate((z, -np.ones(moments)))))
    return torch.tensor(low * math.sqrt(2) / low.sum())


def turned(angles_AD: Tensor) -> Tensor:
    """[2A, D]: an orthogonal filter for each channel, from any A angles: a rotation of all pairs of entries for each, and a shift."""
    filters = torch.zeros(2 * angles_AD.shape[0], angles_AD.shape[1], dtype=angles_AD.dtype, device=angles_AD.device)
    filters[0] = 1
    for angle_D in angles_AD:
        first, second = filters[::2], filters[1::2]
        sine, cosine = angle_D.sin(), angle_D.cos()
        pairs = torch.stack((first * sine + second * cosine, first * cosine - second * sine), 1)
        filters = pairs.flatten(0, 1).roll(1, 0)
    return filters.roll(-1, 0)
