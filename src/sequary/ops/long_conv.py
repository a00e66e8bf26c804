"""Causal convolution of a whole sequence with a kernel of its length: y_t = Σ_{s<=t} k_{t−s} x_s, each channel apart.

Two forms: "reference", the sum written out as a Toeplitz matrix, and "fft" (the default), T log T: both factors are filled up with
zeros to twice the length, so that the circular convolution wraps nothing. Rows are plain sequences; where there is padding or
packing, a recurrence knows it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sequary.ops.forms import chosen

fft: Any = torch.fft  # whose stubs name no types


def long_conv(x_BTD: Tensor, kernel_TD: Tensor) -> Tensor:
    """[B, T, D]; `kernel` [T, D], or [B, T, D] where each row has its own. A width of 1 in either serves all channels of the other.

    Half-precision inputs are computed in float32.
    """
    if not len(x_BTD):  # torch's transforms refuse what is empty
        return x_BTD * kernel_TD.to(x_BTD.dtype)
    wide = torch.promote_types(x_BTD.dtype, torch.float32)
    x, k, length = x_BTD.to(wide), kernel_TD.to(wide), x_BTD.shape[1]
    if chosen("fft") == "reference":
        lag_TT = torch.arange(length, device=x.device)[:, None] - torch.arange(length, device=x.device)
        matrix = k[..., lag_TT.clamp(min=0), :] * (lag_TT >= 0)[..., None]
        return (matrix * x[:, None]).sum(2).to(x_BTD.dtype)
    # Along the last axis: elsewhere torch's export guesses wrongly how the spectrum lies in memory.
    spectrum: Tensor = fft.rfft(x.mT, n=2 * length) * fft.rfft(k.mT, n=2 * length)
    y: Tensor = fft.irfft(spectrum, n=2 * length)
    return y[..., :length].mT.to(x_BTD.dtype)
