"""The pre-norm block whose branches start small (LayerScale, Touvron et al., CaiT, arXiv 2103.17239, section 2)."""

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


class LayerScaled(Branched):
    """x ← x + λ ⊙ part(norm(x)) for each of `parts` in turn; λ [D] is learned and starts at `start`."""

    tiny = {"parts": (part(CausalAttention, heads=2), part(MLP))}

    def __init__(
        self,
        dim: int,
        *,
        parts: tuple[Part[Mixer], ...],
        norm: Part[Norm] = part(LayerNorm),
        start: float = 1e-2,
        place: Place | None = None,
    ) -> None:
        super().__init__(dim, parts=parts, norm=norm, place=place)
        self.scales = nn.ParameterList(nn.Parameter(torch.full((dim,), start)) for _ in parts)

    def around(self, branch: int, x_BTD: Tensor, apply: Apply, ctx: Ctx) -> Tensor:
        return x_BTD + self.scales[branch] * apply(self.norms[branch](x_BTD, ctx))
