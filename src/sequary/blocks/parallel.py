"""Parts side by side: each reads the same input, and their outputs are added."""

from __future__ import annotations

from torch import Tensor

from sequary.blocks.residual import Branched, advance
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP


class Parallel(Branched):
    """y = Σ part(x), without a residual of its own."""

    tiny = {"parts": (part(CausalAttention, heads=2), part(MLP))}

    def __init__(self, dim: int, *, parts: tuple[Part[Mixer], ...], place: Place | None = None) -> None:
        super().__init__(dim, parts=parts, norm=None, place=place)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        first, *rest = self.mixers()
        y = first(x_BTD, ctx)
        for mixer in rest:
            y = y + mixer(x_BTD, ctx)
        return y

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, States)
        steps = [advance(p, x_BtD, s, ctx) for p, s in zip(self.mixers(), state.each, strict=True)]
        y = steps[0][0]
        for more, _ in steps[1:]:
            y = y + more
        return y, States(tuple(s for _, s in steps))
