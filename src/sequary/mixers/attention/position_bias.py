"""What a single attention map adds to its scores for the places of query and key (Ma et al., Mega, arXiv 2209.10655, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.mixers.attention.relative_bias import RelativeBias
from sequary.ops.rotary import rotate


class PositionBias(nn.Module):
    """An interface: positions of queries [B, T] and of keys [B, S] -> [B, T, S]. `dim` is the width of queries and keys."""

    def forward(self, at_BT: Tensor, at_BS: Tensor) -> Tensor:
        raise NotImplementedError


class NoBias(PositionBias):
    """0: places do not count."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, at_BT: Tensor, at_BS: Tensor) -> Tensor:
        return torch.zeros(1, 1, 1, device=at_BT.device)


class TableBias(PositionBias):
    """A learnt number for each offset s − t; offsets from `span` on share that of span − 1, on each side."""

    def __init__(self, dim: int, *, span: int = 64) -> None:
        super().__init__()
        self.relative = RelativeBias(1, span, axes=1)

    def forward(self, at_BT: Tensor, at_BS: Tensor) -> Tensor:
        return self.relative(self.relative.index(at_BS[:, None, :] - at_BT[:, :, None]))[0]


class RotaryBias(PositionBias):
    """b_ts = R_t α · R_s β, α and β learnt vectors turned by the angles of rotary positions: a function of s − t. `dim` is even."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.alpha, self.beta = (nn.Parameter(0.02 * torch.randn(dim)) for _ in range(2))

    def forward(self, at_BT: Tensor, at_BS: Tensor) -> Tensor:
        alpha, beta = (
            self.turned(w.expand(at.shape[0], 1, at.shape[1], -1), at)[:, 0]
            for w, at in ((self.alpha, at_BT), (self.beta, at_BS))
        )
        return alpha @ beta.mT

    def turned(self, x_BHTK: Tensor, at_BT: Tensor) -> Tensor:
        return rotate(x_BHTK, at_BT)
