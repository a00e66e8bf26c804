"""The pre-norm block whose two sides of every residual sum carry a learned weight (SReT, arXiv 2111.05297, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.blocks.norms import LayerNorm, Norm
from sequary.blocks.residual import Apply, Branched
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP


class WeightedResidual(Branched):
    """x ← a x + b part(norm(x)) for each of `parts` in turn; the numbers a and b of each branch are learned and start at 1."""

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
        self.weights = nn.Parameter(torch.ones(len(parts), 2))

    def around(self, branch: int, x_BTD: Tensor, apply: Apply, ctx: Ctx) -> Tensor:
        stream, said = self.weights[branch]
        return stream * x_BTD + said * apply(self.norms[branch](x_BTD, ctx))
