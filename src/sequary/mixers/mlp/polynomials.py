"""Polynomials as activations, their coefficients learnt (Zhuo et al., Polynomial Composition Activations, arXiv 2411.03884)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.mixers.mlp.activations import Activation


class Polynomial(Activation):
    """`a` [order] multiplies the powers 1, 2 … and starts at 1 / order; `constant` starts at 0. One of each for a whole layer."""

    def __init__(self, dim: int, *, order: int = 3) -> None:
        super().__init__(dim)
        self.a = nn.Parameter(torch.full((order,), 1 / order))
        self.constant = nn.Parameter(torch.zeros(1))


class PolyReLU(Polynomial):
    """a_0 + Σ_i a_i relu(x)^i."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        total, power = self.constant.expand_as(x), torch.ones_like(x)
        for a in self.a:
            power = power * x
            total = total + a * power
        return total


class PolyNorm(Polynomial):
    """a_0 + Σ_i a_i x^i / √(mean(x^2i) + eps), means over features.

    Powers are taken of x / m, m = max(1, max|x|), and eps / m^2i stands for eps: the same number, and no power overflows.
    """

    def __init__(self, dim: int, *, order: int = 3, eps: float = 1e-6) -> None:
        super().__init__(dim, order=order)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        least = x.detach().abs().amax(-1, keepdim=True).clamp(min=1).reciprocal()
        x = x * least
        total, power, eps = self.constant.expand_as(x), torch.ones_like(x), torch.full_like(least, self.eps)
        for a in self.a:
            power, eps = power * x, eps * least.square()
            total = total + a * power * torch.rsqrt(power.square().mean(-1, keepdim=True) + eps)
        return total
