"""One attention map over the cells for each group of channels, at next to no cost (Saini et al., ULSAM, arXiv 2006.15102)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.grids import grid_of, spread


class SubspaceAttention(Mixer):
    """y = x + A_g ⊙ x for the channels of group g, A_g = softmax over cells of Σ_{c in g} w_c maxpool(a_c x_c + b_c) + d_g.

    a, b: a depthwise 1 × 1 convolution; the max-pool is 3 × 3 with stride 1; w, d: a 1 × 1 convolution to one channel a group.
    Masked cells are in no maximum and have no weight. The tape hears "attention" [B, groups, T].
    """

    dims = (2,)
    packs = False
    cost = 1.0

    def __init__(self, dim: int, *, groups: int = 4) -> None:
        super().__init__()
        if dim % groups:
            divisors = [g for g in range(1, min(dim, 64) + 1) if dim % g == 0]
            raise ValueError(f"groups={groups} does not divide dim={dim}; use one of {divisors}")
        self.groups = groups
        self.scale, self.shift = nn.Parameter(torch.empty(dim).uniform_(-1, 1)), nn.Parameter(torch.zeros(dim))
        bound = (dim // groups) ** -0.5
        self.point, self.offset = (
            nn.Parameter(torch.empty(dim).uniform_(-bound, bound)),
            nn.Parameter(torch.zeros(groups)),
        )

    def bent(self, x: Tensor) -> Tensor:
        """What follows each of the two convolutions: nothing."""
        return x

    def maps(self, x_BTD: Tensor, ctx: Ctx) -> Tensor:
        """[B, groups, T]: A."""
        grid = grid_of(ctx, x_BTD.shape[1], self.dims, type(self).__name__)
        lowest = torch.finfo(x_BTD.dtype).min
        x = self.bent(x_BTD * self.scale + self.shift)
        if ctx.mask is not None:
            x = x.masked_fill(~ctx.mask[..., None], lowest)
        pooled = F.max_pool2d(spread(x.transpose(1, 2), 2, grid), 3, stride=1, padding=1).flatten(2)
        if ctx.mask is not None:  # windows without a real cell
            pooled = pooled.masked_fill(~ctx.mask[:, None], 0)
        weighted = pooled * self.point[:, None]
        logits_BGT = self.bent(spread(weighted, 1, (self.groups, -1)).sum(2) + self.offset[:, None])
        if ctx.mask is not None:
            logits_BGT = logits_BGT.masked_fill(~ctx.mask[:, None], lowest)
        return logits_BGT.softmax(-1, dtype=torch.promote_types(x.dtype, torch.float32)).to(x.dtype)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        a_BGT = self.maps(x_BTD, ctx)
        ctx.tell("attention", lambda: a_BGT)
        each = a_BGT.repeat_interleave(x_BTD.shape[-1] // self.groups, 1).transpose(1, 2)
        return x_BTD + each * x_BTD
