"""The pre-norm residual block: x + mixer(norm(x)), then x + mlp(norm(x))."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.blocks.norms import Norm, RMSNorm
from sequary.blocks.residual import advance, inherit, start
from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU


class PreNorm(Recurrent):
    """Each of `parts` on a residual branch of its own behind a norm: x ← x + part(norm(x)), one after another."""

    tiny = {"parts": (part(CausalAttention, heads=2), part(SwiGLU))}

    def __init__(
        self,
        dim: int,
        *,
        parts: tuple[Part[Mixer], ...],
        norm: Part[Norm] = part(RMSNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.parts = nn.ModuleList(p.build(here) for p in parts)
        self.norms = nn.ModuleList(norm.build(here) for _ in parts)
        inherit(self, self._mixers())

    def _mixers(self) -> list[Mixer]:
        return [p for p in self.parts if isinstance(p, Mixer)]

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        for norm, mixer in zip(self.norms, self.parts, strict=True):
            x_BTD = x_BTD + mixer(norm(x_BTD, ctx), ctx)
        return x_BTD

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> States:
        return States(tuple(start(p, batch, ctx) for p in self._mixers()))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, States)
        after: list[State] = []
        for norm, mixer, old in zip(self.norms, self._mixers(), state.each, strict=True):
            y, new = advance(mixer, norm(x_BtD, ctx), old, ctx)
            x_BtD = x_BtD + y
            after.append(new)
        return x_BtD, States(tuple(after))
