"""Biases for each pair of positions: parts of `FreeAttention`."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PairBias(nn.Module):
    """An interface: positions [B, T] of queries, [B, S] of keys -> w [B, T, S]. Positions from `length` on share the last one's biases.

    `window` w: pairs with |t − s| >= w have bias 0 (AFT-local); None: every pair has its own (AFT-full). `dim` is not read.
    """

    def __init__(self, dim: int, *, length: int, window: int | None) -> None:
        super().__init__()
        self.length, self.window = length, window

    def between(self, t_BT: Tensor, s_BS: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, t_BT: Tensor, s_BS: Tensor) -> Tensor:
        w_BTS = self.between(*(at.clamp(max=self.length - 1) for at in (t_BT, s_BS)))
        if self.window is None:
            return w_BTS
        return w_BTS * ((t_BT[..., :, None] - s_BS[..., None, :]).abs() < self.window)


class TabledPairs(PairBias):
    """w_ts = table[t, s], a table [length, length]."""

    def __init__(self, dim: int, *, length: int, window: int | None = None) -> None:
        super().__init__(dim, length=length, window=window)
        self.table = nn.Parameter(nn.init.xavier_uniform_(torch.empty(length, length)))

    def between(self, t_BT: Tensor, s_BS: Tensor) -> Tensor:
        return self.table[t_BT[..., :, None], s_BS[..., None, :]]


class FactoredPairs(PairBias):
    """w_ts = a_t · b_s with vectors of `rank` entries: 2 · length · rank parameters (Zhai et al., section 3, "parameterization")."""

    def __init__(self, dim: int, *, length: int, rank: int = 32, window: int | None = None) -> None:
        super().__init__(dim, length=length, window=window)
        self.a = nn.Parameter(torch.randn(length, rank) * 0.1)
        self.b = nn.Parameter(torch.randn(length, rank) * 0.1)

    def between(self, t_BT: Tensor, s_BS: Tensor) -> Tensor:
        return self.a[t_BT] @ self.b[s_BS].mT
