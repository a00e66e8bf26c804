"""The post-norm residual block of the first transformer: norm(x + mixer(x)), then norm(x + mlp(x))."""

from __future__ import annotations

from torch import Tensor

from sequary.blocks.norms import LayerNorm, Norm
from sequary.blocks.residual import Apply, Branched
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP


class PostNorm(Branched):
    """x ← norm(x + part(x)) for each of `parts` in turn (Vaswani et al., 2017, section 3.1)."""

    tiny = {"parts": (part(CausalAttention, heads=2), part(MLP))}

    def __init__(
        self,
        dim: int,
        *,
        parts: tuple[Part[Mixer], ...],
        norm: Part[Norm] = part(LayerNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__(dim, parts=parts, norm=norm, place=place)

    def around(self, branch: int, x_BTD: Tensor, apply: Apply, ctx: Ctx) -> Tensor:
        return self.norms[branch](x_BTD + apply(x_BTD), ctx)
