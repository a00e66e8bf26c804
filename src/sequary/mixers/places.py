"""Where each token stands in its segment, counted on from step to step."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.ops.causal_conv import starts


@dataclasses.dataclass(frozen=True, slots=True)
class Places(State):
    """The segment [B] of the last real token (-1: none yet), and its real tokens [B] so far."""

    segment: Tensor
    seen: Tensor

    @staticmethod
    def none(batch: int, like: Tensor) -> Places:
        zero = like.new_zeros(batch, dtype=torch.long)
        return Places(zero - 1, zero)

    def count(self, ctx: Ctx, length: int) -> tuple[Tensor, Tensor, Tensor, Places]:
        """(real, segment, place) of the next tokens, each [B, t], and the places after them. `ctx.positions` wins over counting."""
        batch, device = self.seen.shape[0], self.seen.device
        real = torch.ones(batch, length, dtype=torch.bool, device=device) if ctx.mask is None else ctx.mask
        begins, last = starts(ctx.segments, ctx.mask, self.segment)
        place = ctx.position_ids(batch, length, device)
        if ctx.positions is None:
            goes_on = torch.ones_like(real) if begins is None else begins.long().cumsum(1) == 0
            place = place + torch.where(goes_on, self.seen[:, None], 0)
        latest = torch.where(real, torch.arange(1, length + 1, device=device), 0).amax(1)
        seen = torch.where(latest > 0, place.gather(1, (latest - 1).clamp(min=0)[:, None])[:, 0] + 1, self.seen)
        segment = last[:, None].expand(-1, length) if ctx.segments is None else ctx.segments
        return real, segment, place, Places(last, seen)
