"""The pre-norm residual block: x + mixer(norm(x)), then x + mlp(norm(x))."""

from __future__ import annotations

from torch import Tensor

from sequary.blocks.norms import Norm, RMSNorm
from sequary.blocks.residual import Apply, Branched
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU


class PreNorm(Branched):
    """Each of `parts` on a residual branch of its own behind a norm: x ← x + part(norm(x)), one after another."""

    tiny = {"parts": (part(CausalAttention, heads=2), part(SwiGLU))}

    def __init__(
        self,
        dim: int,
        *,
        parts: tuple[Part[Mixer], ...],
        norm: Part[Norm] = part(RMSNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__(dim, parts=parts, norm=norm, place=place)

    def around(self, branch: int, x_BTD: Tensor, apply: Apply, ctx: Ctx) -> Tensor:
        return x_BTD + apply(self.norms[branch](x_BTD, ctx))
