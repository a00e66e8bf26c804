"""Features φ of queries and keys whose product stands in for exp(q·k): parts of kernel attention, one for each idea."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FeatureMap(nn.Module):
    """`dim` is the width K of one head: q, k [B, T, H, K] -> [B, T, H, width], each token alone."""

    width: int
    smooth: bool = True
    """Differentiable, so that finite differences agree."""

    def __init__(self, dim: int, *, heads: int = 1) -> None:
        super().__init__()
        self.width = dim

    def queries(self, q_BTHK: Tensor) -> Tensor:
        raise NotImplementedError

    def keys(self, k_BTHK: Tensor) -> Tensor:
        return self.queries(k_BTHK)

    def watch(self, q_BTHK: Tensor, k_BTHK: Tensor, mask_BT: Tensor | None) -> None:
        """Called before the features are taken while training: for what a map measures of its inputs."""


class EluPlusOne(FeatureMap):
    """elu(x) + 1: positive, and never flat (Katharopoulos et al., arXiv 2006.16236, eq. 7)."""

    def queries(self, q_BTHK: Tensor) -> Tensor:
        return F.elu(q_BTHK) + 1


class Elementwise(FeatureMap):
    """φ(x) = `function`(x), entry by entry."""

    def __init__(self, dim: int, *, heads: int = 1, function: Callable[[Tensor], Tensor] = F.relu) -> None:
        super().__init__(dim, heads=heads)
        self.function = function

    def queries(self, q_BTHK: Tensor) -> Tensor:
        return self.function(q_BTHK)


class Polynomial(FeatureMap):
    """φ(q)·φ(k) = 1 + s + … + s^p / p! with s = q̂·k̂ · `scale`, p = `order` 1 or 2 (Gerami et al., FAST, arXiv 2402.07901).

    q̂, k̂: each head's entries with mean 0 and variance 1. `scale` is 1/√K, or 1/K for order 1, unless given. With order 2 every
    weight is at least 1/2; with order 1 none is negative while scale <= 1/K. Features: 1, √scale x̂, and for order 2
    scale x̂_i x̂_j for i < j and scale x̂_i² / √2, each pair once.
    """

    def __init__(self, dim: int, *, heads: int = 1, order: int = 2, scale: float | None = None) -> None:
        super().__init__(dim, heads=heads)
        if order not in (1, 2):
            raise ValueError(f"order={order}; use 1 or 2 (each order multiplies the features by the head's width)")
        self.order = order
        self.scale = (dim**-0.5 if order == 2 else 1 / dim) if scale is None else scale
        self.width = 1 + dim + (dim * (dim + 1) // 2 if order == 2 else 0)

    def queries(self, q_BTHK: Tensor) -> Tensor:
        x = F.layer_norm(q_BTHK, q_BTHK.shape[-1:]) * math.sqrt(self.scale)
        first = F.pad(x, (1, 0), value=1.0)
        if self.order == 1:
            return first
        i, j = torch.triu_indices(x.shape[-1], x.shape[-1], device=x.device)
        return torch.cat((first, x[..., i] * x[..., j] * torch.where(i == j, math.sqrt(0.5), 1.0).to(x.dtype)), -1)
