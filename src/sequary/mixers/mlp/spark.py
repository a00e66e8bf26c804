"""The feed-forward of which few neurons act, and cheap scores tell which (You et al., Spark Transformer, arXiv 2506.06644)."""

from __future__ import annotations

from statistics import NormalDist

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless
from sequary.ops.statistical_topk import soft_top_k


class SparkMLP(Recurrent):
    """y = W2 (gelu(topk(K1 x[:r])) ⊙ K2 x[r:]), topk keeping about the share `active` of the hidden features, token by token.

    r = `split`, half of D unless given; hidden width `ratio` · dim, or `hidden`. The scores K1 x[:r] are part of the usual work: there
    are as many parameters as in two matrices. Features that topk drops are 0, so their rows of K2 and columns of W2 need no work.
    The tape hears "active" [B, T, hidden].
    """

    cost = 1.0

    def __init__(
        self, dim: int, *, active: float = 0.08, split: int | None = None, ratio: float = 4.0, hidden: int | None = None
    ) -> None:
        super().__init__()
        if not 0 < active < 1:
            raise ValueError(f"active={active} is not a share; use a number between 0 and 1, such as 0.08")
        self.split = dim // 2 if split is None else split
        if not 0 < self.split < dim:
            raise ValueError(f"split={self.split} leaves one side of {dim} features empty; use 1 to {dim - 1}")
        width = round(ratio * dim) if hidden is None else hidden
        self.quantile = NormalDist().inv_cdf(1 - active)
        self.score = nn.Linear(self.split, width, bias=False)
        self.up = nn.Linear(dim - self.split, width, bias=False)
        self.down = nn.Linear(width, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        scores = soft_top_k(self.score(x_BTD[..., : self.split]), self.quantile)
        ctx.tell("active", lambda: scores > 0)
        return self.down(F.gelu(scores, approximate="tanh") * self.up(x_BTD[..., self.split :]))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
