"""Rotary positions (RoFormer, arXiv 2104.09864, eq. 34): a query or key is turned by an angle that grows with its position."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate(x_BHTK: Tensor, positions_BT: Tensor, *, base: float = 10_000.0) -> Tensor:
    """`x` with each pair (first half, second half) turned by position · base^(−2i/K); K must be even."""
    half = x_BHTK.shape[-1] // 2
    rate = base ** (-torch.arange(half, device=x_BHTK.device, dtype=torch.float64) / half)
    angle = positions_BT[:, None, :, None] * rate  # in float64: in bfloat16 a late position's angle is off by a radian
    cos, sin = angle.cos().to(x_BHTK.dtype), angle.sin().to(x_BHTK.dtype)
    a, b = x_BHTK[..., :half], x_BHTK[..., half:]
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)
