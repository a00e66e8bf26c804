"""The network of the diffusion head: an MLP over one token, told step and condition by adaptive norms (arXiv 2406.11838, section 3.3)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WAVES = 256
EPS = 1e-6


def waves(step_N: Tensor, dtype: torch.dtype) -> Tensor:
    """[N, 256] cosines, then sines, of the step at 128 frequencies from 1 down to nearly 1/10000."""
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    half = WAVES // 2
    pace = (-math.log(10_000) * torch.arange(half, device=step_N.device, dtype=wide) / half).exp()
    angle = step_N[:, None].to(wide) * pace
    return torch.cat((angle.cos(), angle.sin()), -1).to(dtype)


class AdaptiveBlock(nn.Module):
    """x + gate(y) · W2 silu(W1 (norm(x) (1 + scale(y)) + shift(y)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.up, self.down = nn.Linear(width, width), nn.Linear(width, width)
        self.modulation = nn.Linear(width, 3 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        shift, scale, gate = self.modulation(F.silu(y)).chunk(3, -1)
        return x + gate * self.down(F.silu(self.up(self.norm(x) * (1 + scale) + shift)))


class Denoiser(nn.Module):
    """(x [N, channels], step [N], z [N, dim]) -> [N, 2 · channels]: the noise ε, and v, where the variance lies between its bounds."""

    def __init__(self, dim: int, *, channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.time = nn.ModuleList((nn.Linear(WAVES, width), nn.Linear(width, width)))
        self.cond = nn.Linear(dim, width)
        self.first = nn.Linear(channels, width)
        self.blocks = nn.ModuleList(AdaptiveBlock(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=EPS, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.last = nn.Linear(width, 2 * channels)
        for zeroed in (self.modulation, self.last):
            nn.init.zeros_(zeroed.weight)
            nn.init.zeros_(zeroed.bias)

    def forward(self, x: Tensor, step_N: Tensor, z: Tensor) -> Tensor:
        y = self.time[1](F.silu(self.time[0](waves(step_N, x.dtype)))) + self.cond(z)
        x = self.first(x)
        for block in self.blocks:
            x = block(x, y)
        shift, scale = self.modulation(F.silu(y)).chunk(2, -1)
        return self.last(self.norm(x) * (1 + scale) + shift)
