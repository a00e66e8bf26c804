"""Variable selection: a weight for each variable at each step (Lim et al., arXiv 1912.09363, section 4.2, eq. 6–8)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sequary.core.contracts import Member
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.mlp.gated_residual import GRN, Skip


class VariableSelection(Member):
    """Embedded variables ξ_j [..., widths[j]] -> y [..., D] = Σ_j v_j f_j(ξ_j), and v = softmax(GRN(ξ_1 … ξ_V, c)) [..., V].

    `each`: the maps f_j, in turn (one repeats). One variable alone is only mapped, and its weight is 1.
    """

    tiny = {"widths": (3, 2)}

    def __init__(
        self,
        dim: int,
        *,
        widths: tuple[int, ...] = (),
        context: int | None = None,
        joint: Part[GRN] = part(GRN),
        each: tuple[Part[GRN] | Part[Skip], ...] = (part(GRN),),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here, count = Place.here(place, dim), len(widths)
        if count == 0:
            raise ValueError("widths=(): nothing to select from")
        self.joint = None
        if count > 1:
            self.joint = joint.but(inputs=sum(widths), context=context).build(here.at(dim=count))
        self.each = nn.ModuleList(each[j % len(each)].but(inputs=w).build(here) for j, w in enumerate(widths))

    def forward(self, variables: Sequence[Tensor], context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mapped = [f(x) for f, x in zip(self.each, variables, strict=True)]
        if self.joint is None:
            return mapped[0], torch.ones_like(mapped[0][..., :1])
        weights = self.joint(torch.cat(list(variables), -1), context).softmax(-1)
        return (torch.stack(mapped, -1) @ weights[..., None])[..., 0], weights
