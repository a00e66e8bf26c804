"""A residual block that keeps the size of its stream, without norms (Noci et al., arXiv 2306.17759, weighted residuals)."""

from __future__ import annotations

import math

from torch import Tensor

from sequary.blocks.norms import NoNorm, Norm
from sequary.blocks.residual import Apply, Branched
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP


class UnitResidual(Branched):
    """x ← λ x + γ part(norm(x)) for each of `parts` in turn, γ = `gain` and λ² + γ² = 1, both fixed.

    Where a part keeps the size of its input and is not aligned with it, so does the sum.
    """

    tiny = {"parts": (part(CausalAttention, heads=2), part(MLP))}

    def __init__(
        self,
        dim: int,
        *,
        parts: tuple[Part[Mixer], ...],
        gain: float = 0.5,
        norm: Part[Norm] = part(NoNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__(dim, parts=parts, norm=norm, place=place)
        if not 0 < gain <= 1:
            raise ValueError(f"gain={gain}: λ² + gain² = 1 needs 0 < gain <= 1")
        self.kept, self.gain = math.sqrt(1 - gain**2), gain

    def around(self, branch: int, x_BTD: Tensor, apply: Apply, ctx: Ctx) -> Tensor:
        return self.kept * x_BTD + self.gain * apply(self.norms[branch](x_BTD, ctx))
