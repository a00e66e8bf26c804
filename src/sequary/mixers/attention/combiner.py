"""Full attention through abstractions (Ren et al., Combiner, arXiv 2107.05768): near tokens are read as they are, regions by a summary.

p(j | t) = p(r | t) p(j | r): a region r competes with single tokens in one softmax by its key, the maximum over its tokens' keys, and
answers with its own attention's value, which does not depend on t. Every earlier token gets a weight above zero.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.local import marks
from sequary.mixers.attention.projection import check_heads, join, split
from sequary.ops.block_attend import Reading, merge, reading, run_attend
from sequary.ops.pooled import pooled


@dataclasses.dataclass(frozen=True, slots=True)
class Past(State):
    """What is kept of each token so far, each [B, S, ·], and its `real` [B, S] and `segment` [B, S]. `packed`: segments were told."""

    kept: tuple[Tensor, ...]
    real: Tensor
    segment: Tensor
    packed: bool = False

    def blocks(self, width: int) -> tuple[Tensor, Tensor, int]:
        """(block [B, S], place in the segment [B, S], a bound for the number of blocks): each segment is cut into blocks of `width`."""
        told = Ctx(mask=self.real, segments=self.segment if self.packed else None)
        place = told.position_ids(self.real.shape[0], self.real.shape[1], self.real.device)
        block = (self.real & (place % width == 0)).long().cumsum(1) - 1
        length = self.real.shape[1]
        # Never a single block: torch.export would build a graph of its own for that.
        return block.clamp(min=0), place, length + 1 if self.packed else length // width + 2

    def extend(self, kept: tuple[Tensor, ...], ctx: Ctx) -> Past:
        real, segment = marks(ctx, kept[0].shape[0], kept[0].shape[1], kept[0].device)
        longer = tuple(torch.cat(pair, 1) for pair in zip(self.kept, kept, strict=True))
        packed = self.packed or ctx.segments is not None
        return Past(longer, torch.cat((self.real, real), 1), torch.cat((self.segment, segment), 1), packed)

    def can_rewind(self) -> bool:
        return True

    def rewind(self, length: int) -> Past:
        kept = tuple(x[:, :length] for x in self.kept)
        return Past(kept, self.real[:, :length], self.segment[:, :length], self.packed)


class Combiner(Recurrent):
    """The interface of the patterns below. H heads of `width` (dim / heads unless given), no biases. The state is what is kept of every
    token; summaries are made of it again at each step, which costs no more than reading the tokens themselves."""

    grows = True

    def __init__(self, dim: int, *, heads: int, width: int | None) -> None:
        super().__init__()
        self.heads, self.width = heads, check_heads(dim, heads) if width is None else width
        self.q, self.k, self.v = (nn.Linear(dim, heads * self.width, bias=False) for _ in range(3))
        self.o = nn.Linear(heads * self.width, dim, bias=False)

    def keep(self, x_BtD: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys, values."""
        return self.q(x_BtD), self.k(x_BtD), self.v(x_BtD)

    def mix(self, past: Past, new: int | None) -> Tensor:
        """[B, H, t, V] of the last `new` tokens, None for all."""
        raise NotImplementedError

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        kept = self.keep(x_BTD)
        real, segment = marks(ctx, x_BTD.shape[0], x_BTD.shape[1], x_BTD.device)
        return self.o(join(self.mix(Past(kept, real, segment, ctx.segments is not None), None)))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Past:
        nothing = self.o.weight.new_zeros(batch, 0)
        kept = self.keep(self.o.weight.new_zeros(batch, 0, self.o.out_features))
        return Past(kept, nothing.bool(), nothing.long())

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Past)
        state = state.extend(self.keep(x_BtD), ctx)
        return self.o(join(self.mix(state, x_BtD.shape[1]))), state

    def split(self, past: Past) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (split(x, self.heads) for x in past.kept[:3])
        return q, k, v


def own_block(q: Tensor, k: Tensor, v: Tensor, block_BS: Tensor, past: Past, width: int, new: int | None) -> Reading:
    """Each of the last `new` tokens over those of its block up to itself."""
    if new is None:
        return run_attend(q, k, v, width=width, run_BhT=block_BS[:, None], real_BhT=past.real[:, None])
    at = torch.arange(block_BS.shape[1], device=q.device)
    sees = (block_BS[:, -new:, None] == block_BS[:, None]) & (at[-new:, None] >= at) & past.real[:, None]
    return reading(q[:, :, -new:], k, v, sees[:, None])


class FixedCombiner(Combiner):
    """Segments of `block` tokens: its own up to itself token by token, every earlier one by its summary; n·(block + n / block) pairs."""

    tiny = {"heads": 2, "block": 3}

    def __init__(self, dim: int, *, heads: int = 4, block: int = 32, width: int | None = None) -> None:
        super().__init__(dim, heads=heads, width=width)
        self.block = block

    def mix(self, past: Past, new: int | None) -> Tensor:
        q, k, v = self.split(past)
        block, place, count = past.blocks(self.block)
        keys, values = pooled(q, k, v, block_BT=block, real_BT=past.real, count=count)
        near = own_block(q, k, v, block, past, self.block, new)
        if new is not None:
            q, block, place = q[:, :, -new:], block[:, -new:], place[:, -new:]
        region = torch.arange(count, device=q.device)
        sees = (region < block[..., None]) & (region >= (block - place // self.block)[..., None])
        return merge([near, reading(q, keys, values, sees[:, None])])


class LogCombiner(Combiner):
    """Itself, and for each bit l that is set in its place t the summary of the 2^l tokens before the block of t of that size: one
    summary a level of a binary tree, which together cover 0..t−1 once; n·log n pairs."""

    tiny = {"heads": 2}
    cost = 1.0
    exempt = {"export": "the number of levels is ⌈log₂ n⌉: another graph for each"}

    def __init__(self, dim: int, *, heads: int = 4, width: int | None = None) -> None:
        super().__init__(dim, heads=heads, width=width)

    def levels(self, length: int) -> int:
        """Bits of the last place."""
        return (length - 1).bit_length()

    def mix(self, past: Past, new: int | None) -> Tensor:
        q, k, v = self.split(past)
        last = slice(None if new is None else -new, None)
        keys, values, sees = [k[:, :, last]], [v[:, :, last]], [past.real[:, last]]
        for level in range(self.levels(k.shape[2])):
            block, place, count = past.blocks(2**level)
            before = (block[:, last] - 1).clamp(min=0)[:, None, :, None].expand(-1, self.heads, -1, self.width)
            summaries = pooled(q, k, v, block_BT=block, real_BT=past.real, count=count)
            for found, summary in zip((keys, values), summaries, strict=True):
                found.append(summary.gather(2, before))
            sees.append((place[:, last] >> level) % 2 == 1)
        k, v, seen = torch.stack(keys, 3), torch.stack(values, 3), torch.stack(sees, 2)
        return reading(q[:, :, last, None], k, v, seen[:, None, :, None])[0].squeeze(3)


class AxialCombiner(Combiner):
    """Rows of `block` tokens: its own up to itself token by token; of every earlier row the summary at its own column.

    The summary of row r at column c is what its token there reads of the whole row, o_rc; its key is W₂ LN(W₁ o_rc + x_rc).
    """

    tiny = {"heads": 2, "block": 3}

    def __init__(
        self, dim: int, *, heads: int = 4, block: int = 32, width: int | None = None, eps: float = 1e-6
    ) -> None:
        super().__init__(dim, heads=heads, width=width)
        self.block = block
        self.up = nn.Linear(heads * self.width, dim, bias=False)
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.key = nn.Linear(dim, heads * self.width, bias=False)

    def keep(self, x_BtD: Tensor) -> tuple[Tensor, ...]:
        return (*super().keep(x_BtD), x_BtD)

    def mix(self, past: Past, new: int | None) -> Tensor:
        q, k, v = self.split(past)
        row, place, _ = past.blocks(self.block)
        run, real = row[:, None], past.real[:, None]
        summary, _ = run_attend(q, k, v, width=self.block, run_BhT=run, real_BhT=real, ahead=True)
        keys = split(self.key(self.norm(self.up(join(summary)) + past.kept[3])), self.heads)
        last = slice(None if new is None else -new, None)
        near = own_block(q, k, v, row, past, self.block, new)
        column, line = place % self.block, place // self.block
        first = row - line
        sees = (column[:, last, None] == column[:, None]) & (row[:, last, None] > row[:, None])
        sees = sees & (first[:, last, None] == first[:, None]) & real
        return merge([near, reading(q[:, :, last], keys, summary, sees[:, None])])
