"""Parts one after another without residual branches: for controls and studies of what skips do."""

from __future__ import annotations

from torch import Tensor

from sequary.blocks.residual import Apply, Branched
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.causal import CausalAttention


class Chain(Branched):
    """x ← part(x) for each of `parts` in turn."""

    tiny = {"parts": (part(CausalAttention, heads=2),)}

    def __init__(self, dim: int, *, parts: tuple[Part[Mixer], ...], place: Place | None = None) -> None:
        super().__init__(dim, parts=parts, norm=None, place=place)

    def around(self, branch: int, x_BTD: Tensor, apply: Apply, ctx: Ctx) -> Tensor:
        return apply(x_BTD)
