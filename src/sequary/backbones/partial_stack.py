"""Layers of partial attention that add their scores to those of the layer below (Zheng et al., PartialFormer, arXiv 2310.14921)."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.blocks.norms import LayerNorm, Norm
from sequary.core.contracts import Backbone
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.core.values import Level, Levels
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.partial import PartialAttention, seen


class PartialStack(Backbone):
    """`depth` layers x ← x + attention(norm(x)), scores_l ← own scores + scores_{l−1}; a norm at the end.

    The scores run beside the residual stream, which is why this is a backbone and not a block.
    """

    tiny = {"depth": 2, "layer": part(PartialAttention, heads=3, width=6)}
    causal = True
    recurrent = True

    def __init__(
        self,
        dim: int,
        *,
        depth: int,
        layer: Part[PartialAttention] = part(PartialAttention),
        norm: Part[Norm] = part(LayerNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        built = [layer.build(here.at(layer=i, depth=depth)) for i in range(depth)]
        self.layers, self.norms = nn.ModuleList(built), nn.ModuleList(norm.build(here) for _ in range(depth))
        self.norm = norm.build(here)

    def _each(self) -> list[tuple[PartialAttention, nn.Module]]:
        found = zip(self.layers, self.norms, strict=True)
        return [(layer, norm) for layer, norm in found if isinstance(layer, PartialAttention)]

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        at, sees = ctx.position_ids(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device), seen(x_BTD, ctx)
        scores = x_BTD.new_zeros(())
        for layer, norm in self._each():
            h = norm(x_BTD, ctx)
            q, k, v = layer.project(h, at)
            scores = scores + layer.scores(q, k)
            x_BTD = x_BTD + layer.out(layer.weights(scores, sees), v, h)
        return (Level(self.norm(x_BTD, ctx), ctx.grid),)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> States:
        return States(tuple(layer.init_state(batch) for layer, _ in self._each()))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, States)
        scores, after = x_BtD.new_zeros(()), list[State]()
        for (layer, norm), cache in zip(self._each(), state.each, strict=True):
            assert isinstance(cache, Cache)
            h = norm(x_BtD, ctx)
            q, k, v = layer.project(h, cache.positions(ctx, x_BtD.shape[0], x_BtD.shape[1]))
            longer, sees = cache.extend(k, v, ctx)
            scores = scores + layer.scores(q, longer.k)
            x_BtD = x_BtD + layer.out(layer.weights(scores, sees), longer.v, h)
            after.append(longer)
        return self.norm(x_BtD, ctx), States(tuple(after))
