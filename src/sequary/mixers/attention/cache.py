"""The state of softmax attention: every key and value so far, and who may see them."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.core.state import State


@dataclasses.dataclass(frozen=True, slots=True)
class Cache(State):
    """Keys [B, H, S, K] and values [B, H, S, V] of S steps, with what visibility needs of each."""

    k: Tensor
    v: Tensor
    real: Tensor
    """[B, S] bool: not padding."""
    order: Tensor
    """[B, S] int: when each became known; without an order its index."""

    @staticmethod
    def empty(batch: int, heads: int, key: int, value: int, like: Tensor) -> Cache:
        flags = like.new_zeros(batch, 0)
        return Cache(
            like.new_zeros(batch, heads, 0, key), like.new_zeros(batch, heads, 0, value), flags.bool(), flags.long()
        )

    def positions(self, ctx: Ctx, batch: int, length: int) -> Tensor:
        """[B, t]: positions of the next tokens, counted on from the real ones seen so far unless `ctx` gives them."""
        start = 0 if ctx.positions is not None else self.real.sum(1, keepdim=True)
        return ctx.position_ids(batch, length, self.real.device) + start

    def extend(self, k_BHtK: Tensor, v_BHtV: Tensor, ctx: Ctx) -> tuple[Cache, Tensor]:
        """The longer cache, and [B, t, S + t]: what each new query sees."""
        batch, new = k_BHtK.shape[0], k_BHtK.shape[2]
        device = self.real.device
        real = torch.ones(batch, new, dtype=torch.bool, device=device) if ctx.mask is None else ctx.mask
        index = torch.arange(self.real.shape[1], self.real.shape[1] + new, device=device).expand(batch, new)
        order = index if ctx.order is None else ctx.order
        longer = Cache(
            torch.cat((self.k, k_BHtK), 2),
            torch.cat((self.v, v_BHtV), 2),
            torch.cat((self.real, real), 1),
            torch.cat((self.order, order), 1),
        )
        sees = (longer.order[:, None, :] <= order[:, :, None]) & longer.real[:, None, :]
        return longer, sees

    def can_rewind(self) -> bool:
        return True

    def rewind(self, length: int) -> Cache:
        return Cache(self.k[:, :, :length], self.v[:, :, :length], self.real[:, :length], self.order[:, :length])
