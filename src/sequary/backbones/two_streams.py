"""The coupling of reversible networks: two streams, each updated from the other (Gomez et al., 2017; Reformer, section 3)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from sequary.blocks.norms import LayerNorm, Norm
from sequary.core.contracts import Backbone, Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Level, Levels
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP

PAIR = (part(Attention, heads=2), part(MLP))


class TwoStreams(Backbone):
    """a = b = x; for each pair (f, g) of `depth` pairs: a ← a + f(norm(b)), b ← b + g(norm(a)); at the end a + b or its half.

    `pairs` are taken in turn, with `norms` beside them. The inputs of a layer can be computed from its outputs; autograd is
    used here as for any other network, so nothing is recomputed and no memory is saved.
    """

    tiny = {"depth": 2, "pairs": (PAIR,)}

    def __init__(
        self,
        dim: int,
        *,
        depth: int,
        pairs: tuple[tuple[Part[Mixer], Part[Mixer]], ...],
        norms: tuple[Part[Norm], ...] = (part(LayerNorm),),
        merged: Literal["sum", "mean"] = "mean",
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.share = 1.0 if merged == "sum" else 0.5
        layers = [(pairs[i % len(pairs)], norms[i % len(norms)], here.at(layer=i, depth=depth)) for i in range(depth)]
        self.parts = nn.ModuleList(p.build(at) for pair, _, at in layers for p in pair)
        self.norms = nn.ModuleList(norm.build(at) for pair, norm, at in layers for _ in pair)
        mixers = [p for p in self.parts if isinstance(p, Mixer)]
        self.causal = all(m.causal for m in mixers)
        self.dims = max((m.dims for m in mixers), key=len, default=())

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        a = b = x_BTD
        for norm, part_ in zip(self.norms, self.parts, strict=True):
            a, b = b, a + part_(norm(b, ctx), ctx)
        return (Level(self.share * (a + b), ctx.grid),)
