"""A layer norm whose epsilon stands outside of the root, as in the `axial-attention` package."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.blocks.norms import Norm
from sequary.core.ctx import Ctx


class DeviationNorm(Norm):
    """(x − mean) / (√var + eps) · weight + bias over features."""

    def __init__(self, dim: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        centred = x_BTD - x_BTD.mean(-1, keepdim=True)
        # A norm, whose gradient at constant features is 0; that of a root of the variance is infinite.
        deviation = torch.linalg.vector_norm(centred, dim=-1, keepdim=True) * centred.shape[-1] ** -0.5
        return centred / (deviation + self.eps) * self.weight + self.bias
