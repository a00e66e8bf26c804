"""Quantiles by pinball loss (Koenker & Bassett, 1978): a linear map to one number for each level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sequary.core.contracts import Head


class Quantiles(Head):
    """[..., D] -> [..., Q], one for each of `levels`. Loss: mean over levels of max(p e, (p − 1) e), e = target − quantile.

    The mean that it gives is the median. Asked for quantiles it sorts them, so that none crosses another, and takes what
    lies between two levels on the line between them; it knows nothing outside of its levels and says so.
    """

    tiny = {"levels": (0.1, 0.5, 0.9)}
    degree = 1

    def __init__(self, dim: int, *, levels: tuple[float, ...]) -> None:
        super().__init__()
        if not levels or any(not 0 < p < 1 for p in levels) or list(levels) != sorted(set(levels)):
            raise ValueError(f"levels={levels} must ascend between 0 and 1; use such as (0.1, 0.5, 0.9)")
        self.levels = levels
        self.out = nn.Linear(dim, len(levels))

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(hidden)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        error = target[..., None] - self(hidden)
        p = torch.tensor(self.levels, dtype=error.dtype, device=error.device)
        return torch.maximum(p * error, (p - 1) * error).mean(-1)

    def mean(self, hidden: Tensor) -> Tensor:
        return self.quantiles(hidden, (0.5,))[..., 0]

    def quantiles(self, hidden: Tensor, levels: Sequence[float]) -> Tensor:
        """[..., len(levels)]. Raises ValueError for a level outside of those that were learnt."""
        q = self(hidden).sort(-1).values
        return torch.stack([self._at(q, p) for p in levels], -1)

    def _at(self, q: Tensor, p: float) -> Tensor:
        if not self.levels[0] <= p <= self.levels[-1]:
            raise ValueError(f"level {p} is outside of what was learnt, {self.levels[0]} to {self.levels[-1]}")
        above = next(i for i, level in enumerate(self.levels) if level >= p)
        if self.levels[above] == p:
            return q[..., above]
        low, high = self.levels[above - 1], self.levels[above]
        return torch.lerp(q[..., above - 1], q[..., above], (p - low) / (high - low))
