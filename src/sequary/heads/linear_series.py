"""The linear forecasters' heads: the look-back itself, by one linear map a trend and remainder or none (Zeng et al., 2023)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Head


def point_error(prediction: Tensor, target: Tensor, power: int) -> Tensor:
    """|prediction − target|^power, element by element."""
    error = prediction - target
    return error.square() if power == 2 else error.abs()


class ChannelLinear(nn.Module):
    """[B, C, L] -> [B, C, H] with weights of each channel's own: what one linear map shared by all cannot tell apart."""

    def __init__(self, channels: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(channels, outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels, outputs).uniform_(-bound, bound))

    def forward(self, x_BCL: Tensor) -> Tensor:
        return torch.einsum("bcl,chl->bch", x_BCL, self.weight) + self.bias


def linear_map(dim: int, horizon: int, own: int | None) -> nn.Linear | ChannelLinear:
    """Shared by all channels, or for `own` channels each its own."""
    return nn.Linear(dim, horizon) if own is None else ChannelLinear(own, dim, horizon)


class SeriesLinear(Head):
    """[B, C, 1, L] -> [B, H, C]: y = W x + b over time. `own` = number of channels for weights of each channel's own."""

    tiny = {"horizon": 3}
    degree = 2

    def __init__(self, dim: int, *, horizon: int, own: int | None = None) -> None:
        super().__init__()
        self.map = linear_map(dim, horizon, own)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.map(hidden[:, :, 0]).transpose(1, 2)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return point_error(self(hidden), target, 2)

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)


class TrendRemainder(Head):
    """DLinear: a moving average of `kernel` steps (ends repeated) is the trend; trend and remainder each have a linear map."""

    tiny = {"horizon": 3, "kernel": 5}
    degree = 2
    counts: Tensor

    def __init__(self, dim: int, *, horizon: int, kernel: int = 25, own: int | None = None) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel={kernel} has no centre; use {kernel - 1} or {kernel + 1}")
        self.trend = linear_map(dim, horizon, own)
        self.remainder = linear_map(dim, horizon, own)
        self.kernel = kernel
        self.register_buffer("counts", window_counts(dim, kernel), persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        # Both maps and the average are linear, W_t A x + W_r (x − A x), so that one product with
        # W_r + (W_t − W_r) A does for them: a third of the time of averaging every window.
        weight = self.remainder.weight + (self.trend.weight - self.remainder.weight) @ (self.counts / self.kernel)
        bias = self.trend.bias + self.remainder.bias
        x_BCL = hidden[:, :, 0]
        if weight.dim() == 2:
            return F.linear(x_BCL, weight, bias).transpose(1, 2)
        return (torch.einsum("bcl,chl->bch", x_BCL, weight) + bias).transpose(1, 2)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return point_error(self(hidden), target, 2)

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)


def window_counts(length: int, kernel: int) -> Tensor:
    """[L, L] how often step s stands in the window of `kernel` steps around t, both ends of the series repeated."""
    reach = kernel // 2
    source = (torch.arange(length)[:, None] + torch.arange(-reach, reach + 1)).clamp(0, length - 1)
    rows = torch.arange(length)[:, None].expand_as(source)
    return torch.zeros(length, length).index_put((rows, source), torch.tensor(1.0), accumulate=True)
