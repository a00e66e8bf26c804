"""Linear attention under a mask that fades with the distance on a tree (Choromanski et al., Fast Tree-Field Integrators, NeurIPS 2024)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.mixers.grids import grid_of
from sequary.mixers.linear.feature_maps import EluPlusOne, FeatureMap
from sequary.mixers.linear.kernel import Featured
from sequary.ops.kernel_attend import mean
from sequary.ops.relative_kernel import placed_sums
from sequary.ops.tree_field import on_grid
from sequary.ops.trees import grid_plan


class TopologicalAttention(Featured):
    """o_t = Σ_s m_ts (φ(q_t)·φ(k_s)) v_s / Σ_s m_ts φ(q_t)·φ(k_s),  m_ts = exp(Σ_n c_n (d_ts / r)^n), n = 1 … `degree`.

    d is the distance on a spanning tree of the grid, r the sum of its sides; the c_n, shared by all heads, are all that the mask learns.
    N log² N for N cells; with an order or packed rows N², since queries then read different keys.
    """

    tiny = {"heads": 2}
    cost = 1.2  # N log² N, as a power of some hundred or thousand cells
    dims = (2,)
    orders = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        key: int | None = None,
        feature: Part[FeatureMap] = part(EluPlusOne),
        degree: int = 3,
        bias: bool = False,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(dim, heads=heads, key=key, feature=feature, bias=bias, eps=eps)
        self.fade = nn.Parameter(torch.zeros(degree))
        with torch.no_grad():
            self.fade[0] = -1

    def mask(self, grid: tuple[int, ...]) -> Tensor:
        """[N]: by whole distances, of which a tree has fewer than cells."""
        wide = torch.promote_types(self.fade.dtype, torch.float32)
        place = torch.arange(math.prod(grid), device=self.fade.device, dtype=wide) / sum(grid)
        order = torch.arange(1, len(self.fade) + 1, device=place.device)
        return ((place[:, None] ** order) @ self.fade.to(wide)).exp()

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        grid = grid_of(ctx, length, self.dims, type(self).__name__)
        mask = self.mask(grid)
        q, k, v = (t.to(mask.dtype) for t in self.features(x_BTD, ctx))
        if ctx.order is not None or ctx.segments is not None:
            sees = ctx.sees(batch, length, x_BTD.device, causal=False)
            assert sees is not None
            m_TT = mask[grid_plan(grid).distances().long().to(x_BTD.device)]
            sums = placed_sums(q, k, v, m_TT * sees[:, None])
        else:
            if ctx.mask is not None:
                k = k.masked_fill(~ctx.mask[..., None, None], 0)
            field_TBHFV = torch.einsum("bthf,bthv->tbhfv", k, v)
            memory = on_grid(grid, mask, field_TBHFV.flatten(1)).view_as(field_TBHFV)
            sums = torch.einsum("bthf,tbhfv->bthv", q, memory)
        return self.o(mean(sums, self.eps).to(x_BTD.dtype).flatten(2))
