"""Neighbourhood attention (Hassani et al., Neighborhood Attention Transformer, arXiv 2204.07143, eq. 2 to 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.mixers.attention.relative_bias import RelativeBias
from sequary.mixers.grids import grid_of, sees_at
from sequary.ops.dropout import Dropout
from sequary.ops.neighbourhood import attend_at, combined, every, window


class NeighbourhoodAttention(Mixer):
    """o_t = Σ_s softmax_s(q_t·k_s · scale + b_{s−t}) v_s over the kernel^axes cells nearest to t; windows slide inward at borders.

    Linear in the number of cells. What it does moves with its input in the interior. A kernel as wide as the (odd) side is full attention.
    `relative`: the learned bias b by offset. `scale`: 1/√K unless given. Masked keys get no weight.
    """

    tiny = {"heads": 2, "kernel": 3}
    dims = (2,)
    orders = True
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        kernel: int = 7,
        dilation: int = 1,
        axes: int = 2,
        bias: bool = True,
        relative: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0 or dilation < 1:
            raise ValueError(f"kernel={kernel}, dilation={dilation}: the kernel must be odd, and both at least 1")
        check_heads(dim, heads)
        self.heads, self.kernel, self.dilation, self.scale = heads, kernel, dilation, scale
        self.dims = (axes,)
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.relative = RelativeBias(heads, kernel, axes) if relative else None
        self.o = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        axes = [window(n, kernel=self.kernel, dilation=self.dilation, device=x_BTD.device) for n in grid]
        keys_TN = combined([keys for keys, _ in axes], list(grid))
        sees_BTN = every([real for _, real in axes])[None]
        allowed = sees_at(ctx, keys_TN)
        sees_BTN = sees_BTN if allowed is None else sees_BTN & allowed
        q, k, v = self.qkv(x_BTD, None, self.heads)
        bias = self._bias([keys for keys, _ in axes])
        return self.dropout(
            self.o(join(attend_at(q, k, v, keys_TN, sees_BTN=sees_BTN, bias_HTN=bias, scale=self.scale)))
        )

    def _bias(self, axes_LK: list[Tensor]) -> Tensor | None:
        """[H, T, N]."""
        if self.relative is None:
            return None
        cells = [torch.arange(keys.shape[0], device=keys.device)[:, None] for keys in axes_LK]
        steps = [(keys - cell) // self.dilation for keys, cell in zip(axes_LK, cells, strict=True)]
        sizes = [2 * self.kernel - 1] * len(axes_LK)
        return self.relative(combined([self.relative.index(s) for s in steps], sizes))
