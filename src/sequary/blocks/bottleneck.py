"""The bottleneck block of ResNets around any mixer (He et al., Deep Residual Learning, arXiv 1512.03385, section 4.1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.norms import BatchNorm, Norm
from sequary.blocks.residual import advance, inherit, start
from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.attention.causal import CausalAttention


class Bottleneck(Recurrent):
    """y = f(x + N₃ W₃ f(N₂ mixer(f(N₁ W₁ x)))), f = ReLU; the mixer works at `inner` · dim features."""

    tiny = {"mixer": part(CausalAttention, heads=2), "inner": 0.5}

    def __init__(
        self,
        dim: int,
        *,
        mixer: Part[Mixer],
        inner: float = 0.25,
        norm: Part[Norm] = part(BatchNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        width = round(inner * dim)
        inside = here.at(dim=width)
        self.enter, self.leave = nn.Linear(dim, width, bias=False), nn.Linear(width, dim, bias=False)
        self.mixer = mixer.build(inside)
        self.norms = nn.ModuleList((norm.build(inside), norm.build(inside), norm.build(here)))
        inherit(self, (self.mixer,))

    def _into(self, x_BTD: Tensor, ctx: Ctx) -> Tensor:
        return F.relu(self.norms[0](self.enter(x_BTD), ctx))

    def _out(self, x_BTD: Tensor, y_BTD: Tensor, ctx: Ctx) -> Tensor:
        return F.relu(x_BTD + self.norms[2](self.leave(F.relu(self.norms[1](y_BTD, ctx))), ctx))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self._out(x_BTD, self.mixer(self._into(x_BTD, ctx), ctx), ctx)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> State:
        return start(self.mixer, batch, ctx)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        y_BtD, state = advance(self.mixer, self._into(x_BtD, ctx), state, ctx)
        return self._out(x_BtD, y_BtD, ctx), state
