"""What a feed-forward does to its hidden features: parts of `ActivatedMLP`. [..., `dim`] -> [..., `dim`]."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Activation(nn.Module):
    """`dim` is the hidden width; most do not read it."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class ReLU(Activation):
    """max(0, x)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)


class SquaredReLU(Activation):
    """max(0, x)² (Primer, arXiv 2109.08668)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x).square()


class GELU(Activation):
    """x Φ(x) (Hendrycks & Gimpel, arXiv 1606.08415)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x)


class SiLU(Activation):
    """x σ(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x)
