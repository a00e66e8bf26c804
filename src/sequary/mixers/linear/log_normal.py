"""Exponential features whose sharpness is set so that the weights are spread as those of softmax attention.

Nahshan et al., Linear Log-Normal Attention with Unbiased Concentration (arXiv 2311.13541).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.mixers.linear.feature_maps import FeatureMap

TOP = 60.0
"""The greatest exponent of a key, far beyond any that is met: float32 holds sums of exp(60)."""


class LogNormal(FeatureMap):
    """φ(q) = exp(α q), φ(k) = exp(β k): for normal q and k the weights are nearly log-normal, as those of softmax are.

    α = σ̃ / σ_q, β = σ̃ / σ_k with 2 σ̃² `slope` = σ_q² σ_k² − `offset`: the line that links the log variance of the weights to that of
    softmax(q·k / √K), with the numbers of the released code. σ² are running variances over all heads, measured while training with
    `momentum`; at first 1. Queries are shifted by their greatest exponent, which the ratio of sums takes back.
    """

    variance: Tensor

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 1,
        slope: float = 0.14855178144710912,
        offset: float = -0.35487039130661086,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(dim, heads=heads)
        self.slope, self.offset, self.momentum = slope, offset, momentum
        self.register_buffer("variance", torch.ones(2))

    def queries(self, q_BTHK: Tensor) -> Tensor:
        x = q_BTHK * self.sharpness()[0]
        return (x - x.amax(-1, keepdim=True)).exp()

    def keys(self, k_BTHK: Tensor) -> Tensor:
        return (k_BTHK * self.sharpness()[1]).clamp(max=TOP).exp()

    def sharpness(self) -> Tensor:
        """[2]: α and β."""
        spread = ((self.variance.prod() - self.offset) / (2 * self.slope)).clamp(min=0).sqrt()
        return spread / self.variance.sqrt()

    @torch.no_grad()
    def watch(self, q_BTHK: Tensor, k_BTHK: Tensor, mask_BT: Tensor | None) -> None:
        now = torch.stack([variance(x, mask_BT) for x in (q_BTHK, k_BTHK)]).to(self.variance)
        self.variance.lerp_(now.clamp(min=1e-4), self.momentum)


def variance(x_BTHK: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Of all entries of real tokens."""
    real = torch.ones_like(x_BTHK) if mask_BT is None else mask_BT[..., None, None].expand_as(x_BTHK).to(x_BTHK.dtype)
    count = real.sum().clamp(min=1)
    mean = (x_BTHK * real).sum() / count
    return ((x_BTHK - mean).square() * real).sum() / count
