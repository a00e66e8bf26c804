"""A feed-forward that spends on each token what it needs (Wójcik et al., Adaptive Computation Modules, arXiv 2312.10193)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless
from sequary.ops.progressive import prefixes, progressive


class LearnerGate(nn.Module):
    """[B, T, D] -> one of 0 … `learners` for each token, [B, T, L + 1] with a single 1: the likeliest; a draw in training.

    Its gradient is that of the softmax behind it.
    """

    def __init__(self, dim: int, *, learners: int) -> None:
        super().__init__()
        self.scores = nn.Linear(dim, learners + 1)

    def forward(self, x_BTD: Tensor) -> Tensor:
        scores = self.scores(x_BTD)
        if self.training:
            return F.gumbel_softmax(scores, hard=True)
        soft = scores.softmax(-1)
        return F.one_hot(scores.argmax(-1), scores.shape[-1]) + (soft - soft.detach())


class AdaptiveMLP(Recurrent):
    """y = b_0 + Σ_{j <= k} (W2_j gelu(W1_j x + c_j) + b_j), k = gate(x): learners refine the sum in turn, token by token.

    Each has `hidden` features, dim unless given. Without gradients a learner runs on the tokens that it is chosen for, and on no
    others. The tape hears "learners" [B, T, L + 1], the gate's choice. An edit, `Adapted`, puts it in the place of a trained feed-forward.
    """

    tiny = {"learners": 3, "hidden": 6}
    cost = 1.0
    smooth = False

    def __init__(self, dim: int, *, learners: int = 4, hidden: int | None = None) -> None:
        super().__init__()
        hidden = dim if hidden is None else hidden
        self.gate = LearnerGate(dim, learners=learners)
        self.up = nn.Parameter(torch.randn(learners, hidden, dim) * dim**-0.5)
        self.c = nn.Parameter(torch.zeros(learners, hidden))
        self.down = nn.Parameter(torch.randn(learners, dim, hidden) * hidden**-0.5)
        self.b = nn.Parameter(torch.zeros(learners + 1, dim))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        choice = self.gate(x_BTD)
        ctx.tell("learners", lambda: choice)
        weights = (self.up, self.c, self.down, self.b)
        if torch.is_grad_enabled():
            return (choice[..., None] * prefixes(x_BTD, *weights)).sum(-2)
        return progressive(x_BTD.flatten(0, 1), choice.argmax(-1).flatten(), *weights).view_as(x_BTD)

    def every(self, x: Tensor, *, apart: bool = False) -> Tensor:
        """[..., L + 1, D]: what each number of learners says."""
        return prefixes(x, self.up, self.c, self.down, self.b, apart=apart)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
