"""Generalised neighbourhood attention (Hassani et al., arXiv 2504.16922): sliding, strided and blocked windows are one family."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.mixers.grids import grid_of
from sequary.mixers.groups import sees_inside
from sequary.ops.dropout import Dropout
from sequary.ops.groups import attend_groups
from sequary.ops.neighbourhood_groups import Neighbourhood, neighbourhood_groups


class GeneralisedNeighbourhoodAttention(Mixer):
    """o_t = Σ_s softmax_s(q_t·k_s · scale) v_s over the cells s of the window of the group of t.

    For each axis: `kernel` keys, `dilation` cells apart (1 unless given), are the same for `stride` queries; they lie around the group's
    leader, its middle query, and slide inward at borders; on an axis that is `causal` they end at the query. Keys are gathered once for
    a group. Causal in raster order where all axes are. `scale`: 1/√K unless given.
    """

    tiny = {"heads": 2, "kernel": (3, 3), "stride": (2, 3)}
    dims = (2,)
    orders = True
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        kernel: tuple[int, ...] = (8, 8),
        stride: tuple[int, ...] = (4, 4),
        dilation: tuple[int, ...] | None = None,
        causal: tuple[bool, ...] | None = None,
        bias: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads, self.scale = heads, scale
        axes = len(kernel)
        self.near = tuple(
            Neighbourhood(*each)
            for each in zip(kernel, stride, dilation or (1,) * axes, causal or (False,) * axes, strict=True)
        )
        self.dims = (axes,)
        self.causal = all(each.causal for each in self.near)
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.o = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        queries, keys, near = neighbourhood_groups(grid, self.near, x_BTD.device)
        q, k, v = self.qkv(x_BTD, None, self.heads)
        sees = sees_inside(ctx, queries, keys) & near
        y_BHTV = attend_groups(q, k, v, queries, keys, sees_BGQN=sees, scale=self.scale)
        return self.dropout(self.o(join(y_BHTV)))
