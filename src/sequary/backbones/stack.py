"""Blocks one after another: the backbone of most models."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.blocks.norms import Norm
from sequary.blocks.prenorm import PreNorm
from sequary.blocks.residual import advance, start
from sequary.core.contracts import Backbone, Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.core.values import Level, Levels
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU

BLOCK = part(PreNorm, parts=(part(CausalAttention, heads=2), part(SwiGLU)))


class Stack(Backbone):
    """`depth` blocks, taking `blocks` in turn: (a,) repeats one, (a, b) alternates, `depth` entries say each. `norm` at the end.

    An entry tied by name is one module wherever it returns (looped blocks), with a state for each repetition.
    """

    tiny = {"depth": 2, "blocks": (BLOCK,)}

    def __init__(
        self,
        dim: int,
        *,
        depth: int,
        blocks: tuple[Part[Mixer], ...],
        norm: Part[Norm] | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.blocks = nn.ModuleList(blocks[i % len(blocks)].build(here.at(layer=i, depth=depth)) for i in range(depth))
        self.norm = None if norm is None else norm.build(here)
        mixers = self._mixers()
        self.causal = all(m.causal for m in mixers)
        self.recurrent = all(m.recurrent for m in mixers)
        self.dims = max((m.dims for m in mixers), key=len, default=())

    def _mixers(self) -> list[Mixer]:
        return [b for b in self.blocks if isinstance(b, Mixer)]

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        for block in self.blocks:
            x_BTD = block(x_BTD, ctx)
        return (Level(x_BTD if self.norm is None else self.norm(x_BTD, ctx), ctx.grid),)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> States:
        return States(tuple(start(b, batch, ctx) for b in self._mixers()))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, States)
        after: list[State] = []
        for block, old in zip(self._mixers(), state.each, strict=True):
            x_BtD, new = advance(block, x_BtD, old, ctx)
            after.append(new)
        return x_BtD if self.norm is None else self.norm(x_BtD, ctx), States(tuple(after))
