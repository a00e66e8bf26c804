"""A small network of the place that makes kernels of any length (Fathony et al., Multiplicative Filter Networks, ICLR 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SlowNet(nn.Module):
    """h_0 = g_0(p),  h_i = g_i(p) ⊙ (A_i h_{i−1} + b_i) ⊙ c_i,  w = C h_n,  g_i(p) = sin(a_i p + φ_i): places p [K] to [..., K, `outputs`].

    c_i = F_i u + f_i of a context u [..., `hidden`], and 1 without one. `frequency`: about how many waves a unit of p holds.
    """

    def __init__(
        self, outputs: int, *, hidden: int = 16, layers: int = 2, frequency: float = 2.0, context: bool = False
    ) -> None:
        super().__init__()
        self.waves = nn.ModuleList(nn.Linear(1, hidden) for _ in range(layers + 1))
        self.linears = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))
        self.factors = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers if context else 0))
        self.out = nn.Linear(hidden, outputs, bias=False)
        with torch.no_grad():
            for wave in self.waves:
                assert isinstance(wave, nn.Linear)
                wave.weight.normal_(0, 2 * math.pi * frequency)
                wave.bias.uniform_(-math.pi, math.pi)

    def forward(self, place_K: Tensor, context: Tensor | None = None) -> Tensor:
        first, *waves = (wave(place_K[:, None]).sin() for wave in self.waves)
        h = first
        for n, (wave, linear) in enumerate(zip(waves, self.linears, strict=True)):
            h = wave * linear(h)
            if context is not None:
                h = h * self.factors[n](context)[..., None, :]
        return self.out(h)
