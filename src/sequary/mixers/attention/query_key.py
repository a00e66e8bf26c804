"""What is done to queries and keys before their product: parts of `NormedAttention`. Scores are the plain product afterwards."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class QueryKey(nn.Module):
    """`dim` is the width K of one head: q, k [B, H, T, K] -> q, k."""

    def __init__(self, dim: int, *, heads: int = 1) -> None:
        super().__init__()

    def forward(self, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


class Unit(QueryKey):
    """q/‖q‖ · s_h and k/‖k‖: cosines, sharpened by a learnt s_h = min(exp(a_h), 100), 4 at first (Swin v2; VAR)."""

    def __init__(self, dim: int, *, heads: int = 1) -> None:
        super().__init__(dim, heads=heads)
        self.log_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(4.0)))

    def forward(self, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        scale = self.log_scale.clamp(max=math.log(100)).exp()
        return F.normalize(q_BHTK, dim=-1) * scale, F.normalize(k_BHTK, dim=-1)


class Normed(QueryKey):
    """LayerNorm over each head's features, then 1/√K (Dehghani et al., arXiv 2302.05442; RAR)."""

    def __init__(self, dim: int, *, heads: int = 1, eps: float = 1e-6) -> None:
        super().__init__(dim, heads=heads)
        self.q, self.k = nn.LayerNorm(dim, eps=eps), nn.LayerNorm(dim, eps=eps)

    def forward(self, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        return self.q(q_BHTK) / math.sqrt(q_BHTK.shape[-1]), self.k(k_BHTK)


class Scaled(QueryKey):
    """q · `factor` / √K: plain attention at 1; VAR without its norms has 0.25."""

    def __init__(self, dim: int, *, heads: int = 1, factor: float = 1.0) -> None:
        super().__init__(dim, heads=heads)
        self.factor = factor

    def forward(self, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        return q_BHTK * (self.factor / math.sqrt(q_BHTK.shape[-1])), k_BHTK
