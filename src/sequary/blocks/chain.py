"""Parts one after another without residual branches: for controls and studies of what skips do."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.blocks.residual import advance, inherit, start
from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.mixers.attention.causal import CausalAttention


class Chain(Recurrent):
    """x ← part(x) for each of `parts` in turn."""

    tiny = {"parts": (part(CausalAttention, heads=2),)}

    def __init__(self, dim: int, *, parts: tuple[Part[Mixer], ...], place: Place | None = None) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.parts = nn.ModuleList(p.build(here) for p in parts)
        inherit(self, self._mixers())

    def _mixers(self) -> list[Mixer]:
        return [p for p in self.parts if isinstance(p, Mixer)]

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        for mixer in self.parts:
            x_BTD = mixer(x_BTD, ctx)
        return x_BTD

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> States:
        return States(tuple(start(p, batch, ctx) for p in self._mixers()))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, States)
        after: list[State] = []
        for mixer, old in zip(self._mixers(), state.each, strict=True):
            x_BtD, new = advance(mixer, x_BtD, old, ctx)
            after.append(new)
        return x_BtD, States(tuple(after))
