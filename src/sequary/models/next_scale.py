"""VAR's prior: a transformer over token maps that sees the coarser maps and predicts the next one whole (arXiv 2404.02905, section 3.3)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.adaln import AdaLN, AdaNorm
from sequary.core.contracts import Backbone, Head, Mixer
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.core.values import Batch, Output
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.normed import NormedAttention
from sequary.mixers.mlp.tanh_gelu import TanhMLP
from sequary.models.prior import Prior, class_table, places
from sequary.orders.scales import Scales

BLOCK = part(AdaLN, parts=(part(NormedAttention, heads=2), part(TanhMLP)))


@dataclasses.dataclass(frozen=True, slots=True)
class ScaleState(State):
    """The backbone's state after `scale` maps, and the classes [B]."""

    inner: State
    classes: Tensor
    scale: int


def drawn(rows: int, rng: torch.Generator) -> Batch:
    """Contexts and classes of the tiny model's sizes."""
    return Batch(values=torch.randn(rows, 14, 4, generator=rng), cond=torch.randint(4, (rows,), generator=rng))


class NextScale(Prior):
    """[B, Σ n², code] contexts of all scales -> hidden [B, Σ n², D]; a position of scale k sees scales 0 … k.

    x = W context + position + level; the first scale reads the class and a start position instead of a context, which it has not.
    A step takes the context of one whole scale; that of the first is not read.
    """

    toy = {"batch": drawn, "splits": ((1, 4, 9),)}
    tiny = {
        "classes": 3,
        "code": 4,
        "order": Scales((1, 2, 3)),
        "backbone": part(Stack, depth=1, blocks=(BLOCK,)),
        "head": part(Categorical, vocab=11, bias=True),
    }

    def __init__(
        self,
        dim: int,
        *,
        classes: int,
        code: int,
        order: Scales,
        backbone: Part[Backbone],
        head: Part[Head],
        norm: Part[Mixer] = part(AdaNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.classes, self.order = classes, order
        self.first = order.sides[0] ** 2
        self.embed = nn.Linear(code, dim)
        self.classes_table = class_table(classes, dim)
        self.start, self.places = places(self.first, dim), places(order.length, dim)
        self.levels = places(len(order.sides), dim)
        self.backbone, self.norm = backbone.build(here), norm.build(here)
        self.heads = nn.ModuleDict({"main": head.build(here)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        rows, length = batch.values.shape[:2]
        if length != self.order.length:
            raise ValueError(f"{length} positions, but scales {self.order.sides} have {self.order.length}")
        cond = self.classes_table(self.condition(batch))
        known = self.order.groups().order(rows, length).to(batch.values.device)
        x = self._begin(cond, self.embed(batch.values[:, self.first :])) + self.places + self.levels[known[0]]
        ctx = Ctx(order=known, cond=cond, tape=tape, rng=rng)
        return Output(self.norm(self.backbone(x, ctx)[0].x, ctx))

    def init_state(self, batch: Batch) -> ScaleState:
        return ScaleState(self.backbone.init_state(batch.values.shape[0]), self.condition(batch), 0)

    def step(self, values: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Output, State]:
        assert isinstance(state, ScaleState)
        k, cells = state.scale, self.order.groups().groups[state.scale].positions.to(values.device)
        cond = self.classes_table(state.classes)
        context = self.embed(values[:, 0 if k else self.first :])
        x = (context if k else self._begin(cond, context)) + self.places[cells] + self.levels[k]
        ctx = Ctx(order=torch.full((len(x), len(cells)), k, device=x.device), cond=cond, tape=ctx.tape, rng=ctx.rng)
        x, inner = self.backbone.step(x, state.inner, ctx)
        return Output(self.norm(x, ctx)), ScaleState(inner, state.classes, k + 1)

    def _begin(self, cond_BD: Tensor, context_BTD: Tensor) -> Tensor:
        """The first scale's inputs before the others'."""
        return torch.cat((cond_BD[:, None] + self.start, context_BTD), 1)
