"""Gated state spaces: a narrow state space between two projections, times a wide gate (Mehta et al., arXiv 2206.13947, section 3.2)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.ssm.dss import DiagonalStateSpace


class GatedStateSpace(Recurrent):
    """v = GELU(W₁ x) of width `expand` · dim,  u = GELU(W₂ x) of width `inner`;  y = W₄ (W₃ ssm(u) ⊙ v) + b.

    `inner` None: a quarter of dim. `ssm` is any recurrent mixer of that width.
    """

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        expand: float = 3,
        inner: int | None = None,
        ssm: Part[Recurrent] = part(DiagonalStateSpace),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        wide, inner = int(expand * dim), max(1, dim // 4) if inner is None else inner
        self.gate = nn.Linear(dim, wide, bias=False)
        self.narrow = nn.Linear(dim, inner, bias=False)
        self.norm = nn.LayerNorm(inner)
        self.ssm = ssm.build(Place.here(place, inner))
        self.widen = nn.Linear(inner, wide, bias=False)
        self.out = nn.Linear(wide, dim)
        self.cost, self.grows = self.ssm.cost, self.ssm.grows

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self._gated(x_BTD, self.ssm(self._narrowed(x_BTD), ctx))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> State:
        return self.ssm.init_state(batch, ctx)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        u_BtE, state = self.ssm.step(self._narrowed(x_BtD), state, ctx)
        return self._gated(x_BtD, u_BtE), state

    def _narrowed(self, x_BtD: Tensor) -> Tensor:
        return self.norm(F.gelu(self.narrow(x_BtD)))

    def _gated(self, x_BtD: Tensor, u_BtE: Tensor) -> Tensor:
        return self.out(self.widen(u_BtE) * F.gelu(self.gate(x_BtD)))
