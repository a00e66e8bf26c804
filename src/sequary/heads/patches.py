"""Heads on the patches of channels, hidden [B, C, N, D]: their values, or one answer for the whole window."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Head
from sequary.heads.linear_series import point_error


class PatchValues(Head):
    """Each patch from its own vector: [B, C, N, D] -> [B, N, C·P], squared error (masked pre-training of PatchTST)."""

    tiny = {"patch": 4}
    degree = 2

    def __init__(self, dim: int, *, patch: int) -> None:
        super().__init__()
        self.out = nn.Linear(dim, patch)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(hidden).transpose(1, 2).flatten(2)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return point_error(self(hidden), target, 2)

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)


class LastPatchClass(Head):
    """One of `classes` from the last patch of all channels: [B, C, N, D] -> logits [B, classes]; cross-entropy."""

    tiny = {"channels": 2, "classes": 3}

    def __init__(self, dim: int, *, channels: int, classes: int) -> None:
        super().__init__()
        self.out = nn.Linear(channels * dim, classes)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(hidden[:, :, -1].flatten(1))

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return F.cross_entropy(self(hidden), target, reduction="none")


class WindowPatches(Head):
    """The next `horizon` steps of each channel from all its patches, flattened feature by feature: -> [B, H, C] (fine-tuning)."""

    tiny = {"patches": 5, "horizon": 3}
    degree = 2

    def __init__(self, dim: int, *, patches: int, horizon: int) -> None:
        super().__init__()
        self.out = nn.Linear(dim * patches, horizon)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(hidden.transpose(2, 3).flatten(2)).transpose(1, 2)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return point_error(self(hidden), target, 2)

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)
