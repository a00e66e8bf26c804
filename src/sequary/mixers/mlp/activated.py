"""The two-layer feed-forward with any activation as a part, so that activations are compared in one host."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, Stateless
from sequary.mixers.mlp.activations import Activation, SquaredReLU


class ActivatedMLP(Recurrent):
    """y = W2 f(W1 x), f = `activation`, token by token; hidden width `ratio` · dim, or `hidden` where it is given."""

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        activation: Part[Activation] = part(SquaredReLU),
        ratio: float = 4.0,
        hidden: int | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        width = round(ratio * dim) if hidden is None else hidden
        self.up, self.down = nn.Linear(dim, width, bias=bias), nn.Linear(width, dim, bias=bias)
        self.activation = activation.build(Place(width))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.down(self.activation(self.up(x_BTD)))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state
