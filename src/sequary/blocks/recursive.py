"""One block several times over, each time in other slices of the tokens (SReT, arXiv 2111.05297, sections 3.1 and 3.2)."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.blocks.norms import LayerNorm, Norm
from sequary.blocks.weighted_residual import WeightedResidual
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.sliced import SlicedAttention
from sequary.mixers.mlp.dense import MLP


class SlicedRecursion(Mixer):
    """For each pass r: x ← block_r(x), then x ← a x + b MLP_r(norm_r(x)).

    The block, attention and feed-forward on weighted residuals, has the same weights in all passes; its attention runs inside `slices[r]`
    slices: runs of neighbours in the first pass, strided ones after it. The small MLP_r of `between` · dim features is each pass's own.
    """

    tiny = {"heads": 2, "slices": (2, 2)}
    orders = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        slices: tuple[int, ...] = (1, 1),
        ratio: float = 4.0,
        between: float = 1.0,
        norm: Part[Norm] = part(LayerNorm, eps=1e-6),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.slices = slices
        attention, mlp = part(SlicedAttention, heads=heads, slices=slices[0]), part(MLP, hidden=int(ratio * dim))
        self.block = WeightedResidual(dim, parts=(attention, mlp), norm=norm, place=here)
        small = part(WeightedResidual, parts=(part(MLP, hidden=int(between * dim)),), norm=norm)
        self.projections = nn.ModuleList(small.build(here) for _ in slices)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        attention, mlp = self.block.parts
        assert isinstance(attention, SlicedAttention)
        for turn, (slices, project) in enumerate(zip(self.slices, self.projections, strict=True)):
            x_BTD = self.block.around(
                0, x_BTD, lambda y, s=slices, t=turn: attention.sliced(y, ctx, s, strided=t > 0), ctx
            )
            x_BTD = project(self.block.around(1, x_BTD, lambda y: mlp(y, ctx), ctx), ctx)
        return x_BTD
