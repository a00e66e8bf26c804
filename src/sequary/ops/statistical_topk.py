"""Statistical top-k: which of n scores are among the k largest, without sorting (You et al., Spark Transformer, arXiv 2506.06644).

Were the scores normal, k of n would lie above θ = mean + deviation · Φ⁻¹(1 − k/n). θ takes one pass, and so does what lies above.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def soft_top_k(scores: Tensor, quantile: float) -> Tensor:
    """relu(s − θ) over the last axis, θ = mean + deviation · `quantile`: continuous, unlike a cut of the values themselves."""
    mean, deviation = moments(scores, None)
    return torch.relu(scores - (mean + deviation * quantile))


def top_keys(scores: Tensor, allowed: Tensor, k: int) -> Tensor:
    """Bool like `scores` [..., S]: of the `allowed` ones those above θ, about `k`; all where `k` or fewer are allowed.

    The largest is always among them. Taken in float32 at least; no gradient.
    """
    wide = scores.detach().to(torch.promote_types(scores.dtype, torch.float32))
    count = allowed.sum(-1, keepdim=True)
    mean, deviation = moments(wide, allowed)
    # Φ⁻¹(1 − k/n); where n <= k it is not used, and is kept finite.
    share = (1 - 2 * k / count.clamp(min=k + 1)).to(wide.dtype)
    theta = mean + deviation * math.sqrt(2) * torch.erfinv(share)
    largest = wide.masked_fill(~allowed, -math.inf).amax(-1, keepdim=True)
    return allowed & ((count <= k) | (wide >= torch.minimum(theta, largest)))


def moments(scores: Tensor, allowed: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and deviation (of the population) over the last axis, of the `allowed` ones. Equal scores have gradient 0."""
    if allowed is None:
        mean = scores.mean(-1, keepdim=True)
        return mean, root((scores - mean).square().mean(-1, keepdim=True))
    number = allowed.sum(-1, keepdim=True).clamp(min=1).to(scores.dtype)
    mean = (scores * allowed).sum(-1, keepdim=True) / number
    return mean, root(((scores - mean) * allowed).square().sum(-1, keepdim=True) / number)


def root(variance: Tensor) -> Tensor:
    """Of a mean of squares; where it is 0 so is the gradient of what was squared."""
    flat = variance == 0
    return (variance + flat).sqrt() * ~flat
