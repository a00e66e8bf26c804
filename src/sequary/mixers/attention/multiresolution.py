"""Attention at two resolutions (Zeng et al., MRA-2, arXiv 2207.10284): the likeliest blocks are exact, each other block is one number."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.combiner import Past
from sequary.mixers.attention.local import marks
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.attend import weights
from sequary.ops.block_attend import Reading, block_attend, merge, take


class MultiresolutionAttention(Mixer):
    """exp(q_t·k_s / √K) is kept for the `refined` blocks of keys whose mean key is most like the mean query of t's block; in every other
    block of keys it is exp(q̄·k̄ / √K), one number for all pairs. One softmax over both; blocks of `block` tokens.

    With as many refined blocks as there are blocks it is full attention. The paper takes the best blocks of the whole matrix, here each
    block of queries has as many. n·refined·block + (n / block)² scores.
    """

    tiny = {"heads": 2, "block": 3, "refined": 2}

    def __init__(self, dim: int, *, heads: int = 4, block: int = 32, refined: int = 4, bias: bool = True) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads, self.block, self.refined = heads, block, refined
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.o = nn.Linear(dim, dim, bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        fine, coarse = self.readings(x_BTD, ctx)
        return self.o(join(merge([fine, coarse])))

    def readings(self, x_BTD: Tensor, ctx: Ctx) -> tuple[Reading, Reading]:
        """Exact over the refined blocks, and constant over the others, for each token."""
        real, segment = marks(ctx, x_BTD.shape[0], x_BTD.shape[1], x_BTD.device)
        q, k, v = self.qkv(x_BTD, None, self.heads)
        block, place, count = Past((), real, segment, ctx.segments is not None).blocks(self.block)
        count += self.refined  # empty ones at the end, so that there are enough to choose from
        slots_BNb, filled_BNb = _laid_out(block, place % self.block, real, count, self.block)
        tokens = slots_BNb[:, None].expand(-1, self.heads, -1, -1)
        size = filled_BNb.sum(-1)
        q_mean, k_mean, v_mean = (_mean(take(x, tokens), filled_BNb, size) for x in (q, k, v))
        owner = segment.gather(1, slots_BNb[..., 0])
        there = (owner[:, :, None] == owner[:, None]) & (size > 0)[:, None]
        bias = size.clamp(min=1).to(q.dtype).log()[:, None, None]  # a block's one number counts for each of its keys
        likely = weights(q_mean, k_mean, sees=there).detach()
        chosen = likely.argsort(dim=-1, descending=True, stable=True)[..., : self.refined]
        is_chosen = torch.zeros_like(likely, dtype=torch.bool).scatter(-1, chosen, True) & there[:, None]
        o, z = _constant(q_mean, k_mean, v_mean, bias, there[:, None] & ~is_chosen)
        home = block[:, None].expand(-1, self.heads, -1)
        coarse = o.gather(2, home[..., None].expand_as(q)), z.gather(2, home)
        fine = self._fine(q, k, v, tokens, chosen, filled_BNb, is_chosen)
        at = (block * self.block + place % self.block)[:, None].expand(-1, self.heads, -1)
        o, z = (x.flatten(2, 3) for x in fine)
        return (o.gather(2, at[..., None].expand_as(q)), z.gather(2, at)), coarse

    def _fine(
        self, q: Tensor, k: Tensor, v: Tensor, tokens: Tensor, chosen: Tensor, filled_BNb: Tensor, is_chosen: Tensor
    ) -> Reading:
        """The tokens of each block over those of its refined blocks."""
        keys = take(tokens, chosen).flatten(3)
        real = take(filled_BNb[:, None].expand_as(tokens), chosen)
        seen = (real & is_chosen.gather(-1, chosen)[..., None]).flatten(3)
        sees = seen[..., None, :].expand(*seen.shape[:3], self.block, seen.shape[3])
        return block_attend(q, k, v, tokens, keys, sees_BHGMN=sees)


def _laid_out(block_BT: Tensor, at_BT: Tensor, real_BT: Tensor, count: int, width: int) -> tuple[Tensor, Tensor]:
    """[B, N, width]: which token stands at each place of each block, and whether one does."""
    slot = torch.where(real_BT, block_BT * width + at_BT, count * width)
    index = torch.arange(slot.shape[1], device=slot.device).expand_as(slot)
    empty = slot.new_full((slot.shape[0], count * width + 1), -1)
    place = torch.arange(count, device=slot.device)[:, None] * width + torch.arange(width, device=slot.device)
    found = empty.scatter(1, slot, index)[:, place]
    return found.clamp(min=0), found >= 0


def _mean(x_BHNbK: Tensor, filled_BNb: Tensor, size_BN: Tensor) -> Tensor:
    return (x_BHNbK * filled_BNb[:, None, ..., None]).sum(3) / size_BN.clamp(min=1)[:, None, :, None]


def _constant(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, sees: Tensor) -> Reading:
    """softmax(q kᵀ / √K + bias) v, and its normaliser."""
    scores = q @ k.mT / q.shape[-1] ** 0.5 + bias
    least = torch.finfo(scores.dtype).min
    scores = scores.masked_fill(~sees, least)
    return (scores.softmax(-1) * sees) @ v, torch.where(sees.any(-1), scores.logsumexp(-1), least)
