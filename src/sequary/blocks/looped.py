"""A block whose output returns to it together with the input: an iterative solver with learned steps.

Yang et al., 2024, for the loop; Gao et al., On the Expressive Power of a Variant of the Looped Transformer (arXiv 2402.13572), for a
loop between a block before and a block after it.
"""

from __future__ import annotations

from torch import Tensor

from sequary.blocks.prenorm import PreNorm
from sequary.blocks.residual import advance, inherit, start
from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU


class Looped(Recurrent):
    """y_0 = 0, y_{r+1} = block(y_r + x); y after `loops` turns, all with the same weights.

    The state holds one of the block's for each turn. The tape hears "turn" [B, T, D] after each.
    """

    tiny = {"block": part(PreNorm, parts=(part(CausalAttention, heads=2), part(SwiGLU))), "loops": 2}

    def __init__(self, dim: int, *, block: Part[Mixer], loops: int = 4, place: Place | None = None) -> None:
        super().__init__()
        if loops < 1:
            raise ValueError(f"loops={loops}: the block acts at least once")
        self.loops = loops
        self.block = block.build(Place.here(place, dim))
        inherit(self, (self.block,))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        y = self._turn(x_BTD, ctx)
        for _ in range(self.loops - 1):
            y = self._turn(y + x_BTD, ctx)
        return y

    def _turn(self, x_BTD: Tensor, ctx: Ctx) -> Tensor:
        y = self.block(x_BTD, ctx)
        ctx.tell("turn", lambda: y)
        return y

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> States:
        return States(tuple(start(self.block, batch, ctx) for _ in range(self.loops)))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, States)
        after: list[State] = []
        y = x_BtD
        for turn, old in enumerate(state.each):
            y, new = advance(self.block, y + x_BtD if turn else y, old, ctx)
            after.append(new)
        return y, States(tuple(after))
