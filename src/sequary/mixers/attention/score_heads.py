"""Where the scores of each head come from (Zheng et al., PartialFormer, arXiv 2310.14921): own queries and keys, or mixtures of few."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn


class ScoreHeads(nn.Module):
    """`dim` is the number H of heads that get scores; `inputs` h the number of those of the queries and keys."""

    inputs: int

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, q_BhTK: Tensor, k_BhSK: Tensor) -> Tensor:
        """[B, H, T, S], not masked."""
        raise NotImplementedError


class OwnScores(ScoreHeads):
    """q_h·k_h / √K: every head has queries and keys of its own."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.inputs = dim

    def forward(self, q_BhTK: Tensor, k_BhSK: Tensor) -> Tensor:
        return scaled(q_BhTK, k_BhSK)


class HeadMLP(nn.Module):
    """W2 relu(W1 s) over the heads of scores [B, h, T, S]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, outputs), nn.Linear(outputs, outputs)

    def forward(self, scores_BhTS: Tensor) -> Tensor:
        return self.second(F.relu(self.first(scores_BhTS.movedim(1, -1)))).movedim(-1, 1)


class MixedScores(ScoreHeads):
    """The scores of `count` heads, mixed to H: more heads without more queries and keys."""

    def __init__(self, dim: int, *, count: int = 4) -> None:
        super().__init__(dim)
        self.inputs, self.mix = count, HeadMLP(count, dim)

    def forward(self, q_BhTK: Tensor, k_BhSK: Tensor) -> Tensor:
        return self.mix(scaled(q_BhTK, k_BhSK))


class PairedScores(ScoreHeads):
    """Every one of `count` query heads with every key head, query-major, then mixed; H = count²."""

    def __init__(self, dim: int, *, count: int = 2) -> None:
        super().__init__(dim)
        if count**2 != dim:
            raise ValueError(f"count={count} makes {count**2} pairs for {dim} heads; use count={math.isqrt(dim)}")
        self.inputs, self.mix = count, HeadMLP(dim, dim)

    def forward(self, q_BhTK: Tensor, k_BhSK: Tensor) -> Tensor:
        return self.mix(scaled(q_BhTK[:, :, None], k_BhSK[:, None]).flatten(1, 2))


def scaled(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
