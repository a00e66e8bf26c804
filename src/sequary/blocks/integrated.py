"""A residual block as a differential equation in depth, solved in as many steps as one likes (Zhong et al., arXiv 2212.06011)."""

from __future__ import annotations

from torch import Tensor

from sequary.blocks.norms import LayerNorm, Norm
from sequary.blocks.parallel import Parallel
from sequary.blocks.residual import advance, inherit, start
from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP
from sequary.ops.runge_kutta import RK4, Tableau, runge_kutta


class Integrated(Recurrent):
    """x(0) = x, dx/ds = inner(norm(x)); y = x(`time`), in `steps` equal steps of `solver`, all with the same weights.

    One Euler step with time 1 is the pre-norm block x + inner(norm(x)). The state holds one of the inner part's for each of
    the steps · stages evaluations. Gradients run through the steps.
    """

    tiny = {"inner": part(Parallel, parts=(part(CausalAttention, heads=2), part(MLP)))}

    def __init__(
        self,
        dim: int,
        *,
        inner: Part[Mixer],
        norm: Part[Norm] = part(LayerNorm),
        solver: Tableau = RK4,
        steps: int = 1,
        time: float = 1.0,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.inner, self.norm = inner.build(here), norm.build(here)
        self.solver, self.steps, self.time = solver, steps, time
        inherit(self, (self.inner,))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return runge_kutta(
            lambda x: self.inner(self.norm(x, ctx), ctx), x_BTD, self.solver, steps=self.steps, time=self.time
        )

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> States:
        return States(tuple(start(self.inner, batch, ctx) for _ in range(self.steps * len(self.solver.b))))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, States)
        after: list[State] = []

        def slope(x: Tensor) -> Tensor:
            y, new = advance(self.inner, self.norm(x, ctx), state.each[len(after)], ctx)
            after.append(new)
            return y

        y_BtD = runge_kutta(slope, x_BtD, self.solver, steps=self.steps, time=self.time)
        return y_BtD, States(tuple(after))
