"""RMS norm of compressed vectors (Jiang et al., Pre-RMSNorm and Pre-CRMSNorm Transformers, arXiv 2305.14858)."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.blocks.norms import Norm
from sequary.core.ctx import Ctx


class CRMSNorm(Norm):
    """x / √((Σ x² + (Σ x)²) / (D + 1) + eps): RMS norm of D + 1 features that add up to 0, of which the last is not stored."""

    def __init__(self, dim: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        squares = x_BTD.square().sum(-1, keepdim=True) + x_BTD.sum(-1, keepdim=True).square()
        return x_BTD * torch.rsqrt(squares / (x_BTD.shape[-1] + 1) + self.eps)
