"""ReLU with a learnt correction around zero (Sun et al., A Method on Searching Better Activation Functions, arXiv 2405.12954)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.mixers.mlp.activations import Activation


class CRReLU(Activation):
    """max(0, x) + ε x exp(−x²/2), one learnt ε for a layer, which starts at `start`."""

    def __init__(self, dim: int, *, start: float = 0.01) -> None:
        super().__init__(dim)
        self.epsilon = nn.Parameter(torch.tensor(start))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x) + self.epsilon * x * (-0.5 * x.square()).exp()
