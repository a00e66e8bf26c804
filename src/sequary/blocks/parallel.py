"""Parts side by side: each reads the same input, and their outputs are added."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.blocks.residual import advance, inherit, start
from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP


class Parallel(Recurrent):
    """y = Σ part(x), without a residual of its own."""

    tiny = {"parts": (part(CausalAttention, heads=2), part(MLP))}

    def __init__(self, dim: int, *, parts: tuple[Part[Mixer], ...], place: Place | None = None) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.parts = nn.ModuleList(p.build(here) for p in parts)
        inherit(self, self._mixers())

    def _mixers(self) -> list[Mixer]:
        return [p for p in self.parts if isinstance(p, Mixer)]

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        first, *rest = self._mixers()
        y = first(x_BTD, ctx)
        for mixer in rest:
            y = y + mixer(x_BTD, ctx)
        return y

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> States:
        return States(tuple(start(p, batch, ctx) for p in self._mixers()))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, States)
        steps = [advance(p, x_BtD, s, ctx) for p, s in zip(self._mixers(), state.each, strict=True)]
        y = steps[0][0]
        for more, _ in steps[1:]:
            y = y + more
        return y, States(tuple(s for _, s in steps))
