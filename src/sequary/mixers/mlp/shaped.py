"""The feed-forward of shaped transformers: an activation that straightens as it widens (Noci et al., arXiv 2306.17759)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless
from sequary.mixers.mlp.activations import Activation


class ShapedReLU(Activation):
    """√c (s₊ max(x, 0) + s₋ min(x, 0)), s± = 1 + c± / √dim, c = 2 / (s₊² + s₋²), so that it keeps the size of a normal input.

    `above` and `below` are c₊ and c₋: by how much each slope departs from 1, at a width of 1.
    """

    def __init__(self, dim: int, *, above: float = 0.0, below: float = -1.0) -> None:
        super().__init__(dim)
        up, down = 1 + above / math.sqrt(dim), 1 + below / math.sqrt(dim)
        size = math.sqrt((up**2 + down**2) / 2)
        self.up, self.down = up / size, down / size

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, self.up * x, self.down * x)


class ShapedMLP(Recurrent):
    """y = W2 f(W1 x), f = `ShapedReLU`, token by token; weights start at a variance of 1 / inputs; hidden width `ratio` · dim."""

    cost = 1.0

    def __init__(self, dim: int, *, ratio: float = 4.0, above: float = 0.0, below: float = -1.0) -> None:
        super().__init__()
        hidden = round(ratio * dim)
        self.up, self.down = nn.Linear(dim, hidden, bias=False), nn.Linear(hidden, dim, bias=False)
        self.activation = ShapedReLU(hidden, above=above, below=below)
        for layer in (self.up, self.down):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.down(self.activation(self.up(x_BTD)))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
