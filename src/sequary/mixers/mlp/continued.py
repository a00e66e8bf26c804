"""A feed-forward of continued fractions (Dhurandhar et al., CoFrGeNet, arXiv 2601.21766)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless
from sequary.ops.continued_fraction import continued_fraction


class ContinuedMLP(Recurrent):
    """y = U x + Σ_j V_j ⊙ f(W_j1 ⊙ x̂, …, W_jd ⊙ x̂), x̂ = σ(G x) ⊙ x, f(a) = 1 / (a_1 + 1 / (a_2 + …)), token by token.

    `ladders` fractions of `depth` d for each feature; U and G are dim × dim, W [ladders, d, dim] and V [ladders, dim] act on single
    features. Where W_j > 0 and d is even the denominator is 1 at least; an odd d has its pole at x̂ = 0. No denominator counts as less
    than `least`.
    """

    cost = 1.0

    def __init__(self, dim: int, *, ladders: int = 3, depth: int = 4, least: float = 0.01) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth={depth}: a fraction has one entry at least; use depth=4")
        self.least = least
        self.u, self.g = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.w = nn.Parameter(torch.empty(ladders, depth, dim).uniform_(0.5, 1.5))
        self.v = nn.Parameter(torch.full((ladders, dim), ladders**-0.5))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        gated = self.g(x_BTD).sigmoid() * x_BTD
        z = continued_fraction(gated[..., None, :, None] * self.w.mT, self.least)
        return self.u(x_BTD) + (self.v * z).sum(-2)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
