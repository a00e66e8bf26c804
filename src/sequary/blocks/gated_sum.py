"""Parts side by side whose outputs are gated by the input, then added (Acharya, Gated Associative Memory, arXiv 2509.00605)."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.blocks.residual import Branched, advance
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.mlp.memory_bank import MemoryBank


class GatedSum(Branched):
    """y = Σ_i σ(G_i x + b_i) ⊙ part_i(x), without a residual of its own."""

    tiny = {"parts": (part(ShortConv, taps=3), part(MemoryBank, slots=5))}

    def __init__(self, dim: int, *, parts: tuple[Part[Mixer], ...], place: Place | None = None) -> None:
        super().__init__(dim, parts=parts, norm=None, place=place)
        self.gate = nn.Linear(dim, len(parts) * dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self._added(x_BTD, [p(x_BTD, ctx) for p in self.mixers()])

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, States)
        steps = [advance(p, x_BtD, s, ctx) for p, s in zip(self.mixers(), state.each, strict=True)]
        return self._added(x_BtD, [y for y, _ in steps]), States(tuple(s for _, s in steps))

    def _added(self, x_BtD: Tensor, each: list[Tensor]) -> Tensor:
        gates = self.gate(x_BtD).sigmoid().chunk(len(each), -1)
        total = gates[0] * each[0]
        for gate, y in zip(gates[1:], each[1:], strict=True):
            total = total + gate * y
        return total
