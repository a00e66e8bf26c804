"""A residual sum whose stream goes through a linear map of its own (Kossen et al., arXiv 2106.02584, authors' code)."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.blocks.residual import Apply, Branched
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP


class MappedResidual(Branched):
    """x ← R x + b + part(x) for each of `parts` in turn, R [D, D] of each branch's own. No norm: a part brings its own."""

    tiny = {"parts": (part(CausalAttention, heads=2), part(MLP))}

    def __init__(self, dim: int, *, parts: tuple[Part[Mixer], ...], place: Place | None = None) -> None:
        super().__init__(dim, parts=parts, norm=None, place=place)
        self.maps = nn.ModuleList(nn.Linear(dim, dim) for _ in parts)

    def around(self, branch: int, x_BTD: Tensor, apply: Apply, ctx: Ctx) -> Tensor:
        return self.maps[branch](x_BTD) + apply(x_BTD)
