"""Learnt numbers for each head and each offset of a key from its query: parts of `UniversalAttention`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Offsets(nn.Module):
    """An interface: offsets (key − query) [...] int -> [H, ...], `table` [entries, H] looked up at `index`. `dim` is not read."""

    def __init__(self, dim: int, *, heads: int, entries: int, start: float) -> None:
        super().__init__()
        self.table = nn.Parameter(start + 0.02 * torch.randn(entries, heads))

    def index(self, offset: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, offset: Tensor) -> Tensor:
        return self.table[self.index(offset)].movedim(-1, 0)


class EachOffset(Offsets):
    """One entry for each of −span + 1 … span − 1; offsets further away share the last one's. `start`: the value at first."""

    def __init__(self, dim: int, *, heads: int, span: int, start: float = 0.0) -> None:
        super().__init__(dim, heads=heads, entries=2 * span - 1, start=start)
        self.span = span

    def index(self, offset: Tensor) -> Tensor:
        return (offset + self.span - 1).clamp(0, 2 * self.span - 2)


class LogOffsets(Offsets):
    """As URPE's code has them: ± `buckets` / 4 offsets of their own, then logarithmic ones up to `farthest`, the same on each side.

    The numbering leaves a gap between negative and other offsets and starts at the farthest one of a sequence of `length`.
    """

    def __init__(
        self, dim: int, *, heads: int, buckets: int = 64, farthest: int = 128, length: int = 512, start: float = 0.0
    ) -> None:
        super().__init__(dim, heads=heads, entries=buckets + 1, start=start)
        self.sides, self.farthest, self.length = buckets // 2, farthest, length

    def index(self, offset: Tensor) -> Tensor:
        offset = offset.clamp(1 - self.length, self.length - 1)
        side = self._distance(offset.abs()) * offset.sign()
        least = self._distance(torch.tensor(self.length - 1, device=offset.device))
        return torch.where(side >= 0, side + 2, side) + (least if self.length > 1 else -2)

    def _distance(self, away: Tensor) -> Tensor:
        exact = self.sides // 2
        far = (away.clamp(min=1).float() / exact).log() / math.log(self.farthest / exact) * (self.sides - exact)
        return torch.where(away < exact, away, (exact + far.long()).clamp(max=self.sides - 1))
