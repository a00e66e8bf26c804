"""Tables in place of linear maps (Ding et al., MemoryFormer, arXiv 2411.12992): the signs of the input say which rows are read."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class HashLinear(nn.Module):
    """[..., inputs] -> [..., outputs]: y = b + Σ_k p_k T_k[h_k], over chunks z_k of `bits` features each.

    h_k is the number whose binary digits are z_k >= 0, the first the most significant; p_k = Π_i σ(2 |z_k,i| / `temperature`), which is
    how surely z_k lies in its corner, and what gradients reach z by. `tables` [chunks, 2^bits, outputs].
    """

    def __init__(self, inputs: int, outputs: int, *, bits: int = 8, temperature: float = 1.0) -> None:
        super().__init__()
        if inputs % bits:
            divisors = [b for b in range(1, 17) if inputs % b == 0]
            raise ValueError(f"bits={bits} does not divide {inputs} features; use one of {divisors}")
        self.bits, self.temperature = bits, temperature
        chunks = inputs // bits
        # So that outputs start about as large as those of a linear map.
        self.tables = nn.Parameter(torch.randn(chunks, 2**bits, outputs) / math.sqrt(3 * chunks))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def address(self, z: Tensor) -> Tensor:
        """[..., chunks, bits] -> [..., chunks] int."""
        place = 2 ** torch.arange(self.bits - 1, -1, -1, device=z.device)
        return ((z >= 0) * place).sum(-1)

    def score(self, z: Tensor) -> Tensor:
        """[..., chunks, bits] -> [..., chunks]."""
        return F.logsigmoid(2 / self.temperature * z.abs()).sum(-1).exp()

    def forward(self, x: Tensor) -> Tensor:
        z = x.reshape(*x.shape[:-1], -1, self.bits)
        first = torch.arange(len(self.tables), device=x.device) * 2**self.bits
        rows = F.embedding(self.address(z) + first, self.tables.flatten(0, 1))
        return self.bias + (self.score(z)[..., None, :] @ rows).squeeze(-2)
