"""Dropout from 16-bit random numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 2**16
LOWEST_64 = -(2**63)


class Dropout(nn.Module):
    """y = x · keep / P(keep) in training, keep ~ Bernoulli(1 − p) for each entry; the identity in evaluation mode.

    Four 16-bit numbers are cut from each 64-bit one, so that drawing costs a quarter; P(keep) is rounded to 2^-16, and the
    scale is that of the rounded one: the mean is exact. Draws from torch's own generator of the device.
    """

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p={p} is not a probability below 1; use 0 <= p < 1")
        self.p = p
        self.dropped = round(p * LEVELS)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.dropped == 0:
            return x
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device)
        # With bounds, since plain random_() never sets the sign bit, and with it one number in four.
        words.random_(LOWEST_64, None)
        bits = words.view(torch.int16)[: x.numel()].view(x.shape)
        keep = torch.empty_like(x, requires_grad=False, memory_format=torch.contiguous_format)
        # Written as numbers of x's type at once: half the time of a bool mask and a conversion.
        torch.ge(bits, self.dropped - LEVELS // 2, out=keep)
        return x * keep.mul_(LEVELS / (LEVELS - self.dropped))

    def extra_repr(self) -> str:
        return f"p={self.p}"
