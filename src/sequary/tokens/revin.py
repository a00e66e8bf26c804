"""RevIN with its learned affine map (Kim et al., ICLR 2022), and the variant of its code that subtracts the last value."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.values import Scale
from sequary.tokens.series import Windows, moments

TINY_DIVISOR = 1e-10
"""The code divides by weight + eps² when it maps back."""


class RevIN(Windows):
    """x' = (x − mean) / √(var + eps) · w + b by channel; its inverse maps forecasts back. Mean and variance carry no gradient."""

    tiny = {"channels": 2}
    toy = {"bound": 1e-9}  # the published inverse divides by weight + 1e-10

    def __init__(self, dim: int, *, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, values_BLC: Tensor, observed_BLC: Tensor | None) -> tuple[Tensor, Scale]:
        mean, var, real = moments(values_BLC, observed_BLC)
        return _affine(values_BLC, mean.detach(), (var + self.eps).sqrt().detach(), real, self.weight, self.bias)


class RevINLast(Windows):
    """As RevIN, but centred at the last value, through which the gradient flows (`subtract_last` of the authors' code).

    `channels` None: no affine map.
    """

    tiny = {"channels": 2}
    toy = {"bound": 1e-9}  # the published inverse divides by weight + 1e-10

    def __init__(self, dim: int, *, channels: int | None, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = None if channels is None else nn.Parameter(torch.ones(channels))
        self.bias = None if channels is None else nn.Parameter(torch.zeros(channels))

    def forward(self, values_BLC: Tensor, observed_BLC: Tensor | None) -> tuple[Tensor, Scale]:
        _, var, real = moments(values_BLC, observed_BLC)
        steps = torch.arange(values_BLC.shape[1], device=values_BLC.device)[None, :, None]
        last = values_BLC.gather(1, torch.where(real > 0, steps, -1).amax(1, keepdim=True).clamp(min=0))
        size = (var + self.eps).sqrt().detach()
        if self.weight is None or self.bias is None:
            return (values_BLC - last) / size * real, Scale(last, size)
        return _affine(values_BLC, last, size, real, self.weight, self.bias)


def _affine(
    x: Tensor, centre: Tensor, size: Tensor, real: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Scale]:
    back = size / (weight + TINY_DIVISOR)
    return ((x - centre) / size * weight + bias) * real, Scale(centre - bias * back, back)
