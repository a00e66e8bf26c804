"""Heads on the patches of channels, hidden [B, C, N, D]: their values, or one answer for the whole window."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Head
from sequary.heads.linear_series import linear_map, point_error


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

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """[B] classes; temperature 0 takes the likeliest."""
        logits = self(hidden)
        if temperature == 0:
            return logits.argmax(-1)
        return torch.multinomial((logits / temperature).softmax(-1), 1, generator=rng)[:, 0]


class LastPatchValues(Head):
    """`outputs` numbers from the last patch of all channels: [B, C, N, D] -> [B, outputs]; squared error.

    `bounds` (low, high): a sigmoid keeps them between.
    """

    tiny = {"channels": 2, "outputs": 3}

    def __init__(self, dim: int, *, channels: int, outputs: int, bounds: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.out = nn.Linear(channels * dim, outputs)
        self.bounds = bounds

    def forward(self, hidden: Tensor) -> Tensor:
        y = self.out(hidden[:, :, -1].flatten(1))
        if self.bounds is None:
            return y
        low, high = self.bounds
        return y.sigmoid() * (high - low) + low

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return point_error(self(hidden), target, 2)

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)


class WindowPatches(Head):
    """The next `horizon` steps of each channel from all its patches, flattened feature by feature: -> [B, H, C] (fine-tuning).

    `own` = number of channels for weights of each channel's own.
    """

    tiny = {"patches": 5, "horizon": 3}
    degree = 2

    def __init__(self, dim: int, *, patches: int, horizon: int, own: int | None = None) -> None:
        super().__init__()
        self.out = linear_map(dim * patches, horizon, own)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(hidden.transpose(2, 3).flatten(2)).transpose(1, 2)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return point_error(self(hidden), target, 2)

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)
