"""How abnormal each time point is: logits from the token that holds it, and binary cross-entropy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from sequary.core.contracts import Head


class PointScores(Head):
    """[..., N, D] -> logits [..., N·patch] by W2 gelu(W1 h), point by point; with `outputs` [..., N·patch, outputs].

    `hidden` is the width between the two maps. Loss in nats against labels 0 and 1 of the logits' shape; `mean` is the
    probability that a point is abnormal.
    """

    tiny = {"patch": 2, "hidden": 8}

    def __init__(self, dim: int, *, patch: int, hidden: int, outputs: int | None = None) -> None:
        super().__init__()
        self.patch, self.outputs = patch, outputs
        self.up = nn.Linear(dim, hidden)
        self.out = nn.Linear(hidden, patch * (outputs or 1))

    def forward(self, hidden: Tensor) -> Tensor:
        logits = rearrange(self.out(F.gelu(self.up(hidden))), "... n (p o) -> ... (n p) o", p=self.patch)
        return logits[..., 0] if self.outputs is None else logits

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        logits = self(hidden)
        return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="none")

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden).sigmoid()
