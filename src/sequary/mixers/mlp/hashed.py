"""The feed-forward of two layers of tables (Ding et al., MemoryFormer, arXiv 2411.12992)."""

from __future__ import annotations

from torch import Tensor

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State, Stateless
from sequary.mixers.hashed import HashLinear


class HashedMLP(Recurrent):
    """y = H2(H1(x)), token by token. As many chunks in both; those of H2 have `more` bits each: larger tables, no wide hidden layer."""

    cost = 1.0
    tiny = {"bits": 4, "more": 1}

    def __init__(self, dim: int, *, bits: int = 8, more: int = 2, temperature: float = 1.0) -> None:
        super().__init__()
        self.first = HashLinear(dim, dim // bits * (bits + more), bits=bits, temperature=temperature)
        self.second = HashLinear(dim // bits * (bits + more), dim, bits=bits + more, temperature=temperature)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.second(self.first(x_BTD))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
