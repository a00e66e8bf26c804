"""Softmax attention inside non-overlapping blocks (Qin et al., The Devil in Linear Transformer, arXiv 2210.10340, section 4)."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.mixers.places import Places
from sequary.ops.attend import attend


class Blocked(Mixer):
    """An interface: H = `heads` heads, blocks of `block` real tokens, counted from the start of each segment.

    Linear in the length; with padding or packed rows, whose blocks do not lie side by side, the scores are written out.
    """

    cost = 1.0

    def __init__(self, dim: int, *, heads: int = 4, block: int = 64, bias: bool = False) -> None:
        super().__init__()
        check_heads(dim, heads)
        if block < 1:
            raise ValueError(f"block={block} must be at least 1")
        self.heads, self.block = heads, block
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.o = nn.Linear(dim, dim, bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q, k, v = self.qkv(x_BTD, None, self.heads)
        ctx = dataclasses.replace(ctx, order=None) if self.causal else ctx
        if ctx.mask is None and ctx.segments is None and ctx.positions is None and ctx.order is None:
            return self.o(join(block_attend(q, k, v, self.block, causal=self.causal)))
        batch, length, _ = x_BTD.shape
        sees = ctx.sees(batch, length, x_BTD.device, causal=self.causal)
        number_BT = ctx.position_ids(batch, length, x_BTD.device) // self.block
        near = number_BT[:, None, :] == number_BT[:, :, None]
        if sees is None:
            sees = near.tril() if self.causal else near
        return self.o(join(attend(q, k, v, sees=sees & near)))


class BlockAttention(Blocked):
    """o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over the tokens s of t's block."""

    tiny = {"heads": 2, "block": 4}
    orders = True


@dataclasses.dataclass(frozen=True, slots=True)
class BlockState(State):
    """Keys [B, H, S, K] and values of the last S = block − 1 real tokens, the number of their block [B, S] (-1: none) and their
    segment [B, S]."""

    k: Tensor
    v: Tensor
    number: Tensor
    segment: Tensor
    places: Places


class CausalBlockAttention(Blocked, Recurrent):
    """o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over the tokens s <= t of t's block; the state holds at most a block."""

    tiny = {"heads": 2, "block": 4}

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> BlockState:
        like, slots = self.o.weight, self.block - 1
        k, v = (like.new_zeros(batch, self.heads, slots, len(like) // self.heads) for _ in range(2))
        none = like.new_full((batch, slots), -1, dtype=torch.long)
        return BlockState(k, v, none, none, Places.none(batch, like))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, BlockState)
        new = x_BtD.shape[1]
        real_Bt, segment_Bt, place_Bt, places = state.places.count(ctx, new)
        number_Bt = torch.where(real_Bt, place_Bt // self.block, -1)
        q, k, v = self.qkv(x_BtD, None, self.heads)
        k, v = torch.cat((state.k, k), 2), torch.cat((state.v, v), 2)
        number, segment = torch.cat((state.number, number_Bt), 1), torch.cat((state.segment, segment_Bt), 1)
        past = torch.ones(new, number.shape[1], dtype=torch.bool, device=k.device).tril(self.block - 1)
        same = (number[:, None] == number_Bt[..., None]) & (segment[:, None] == segment_Bt[..., None])
        o = self.o(join(attend(q, k, v, sees=same & past & (number >= 0)[:, None])))
        # The last real tokens, in order: padding is sorted to the front and cut off.
        last = (number >= 0).int().argsort(dim=1, stable=True)[:, new:]
        index = last[:, None, :, None].expand(-1, k.shape[1], -1, k.shape[3])
        kept = k.gather(2, index), v.gather(2, index), number.gather(1, last), segment.gather(1, last)
        return o, BlockState(*kept, places)


def block_attend(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor, block: int, *, causal: bool) -> Tensor:
    """[B, H, T, V]: attention inside blocks of `block` tokens, the last one as short as it comes."""
    batch, _, length, _ = q_BHTK.shape
    # Tracing sees neither through −length % block nor through slices, and would fix a single block.
    count = (length + block - 1) // block + torch.compiler.is_compiling()
    short = count * block - length

    def cut(x_BHTK: Tensor) -> Tensor:
        """[B · N, H, S, K]."""
        return F.pad(x_BHTK, (0, 0, 0, short)).unfold(2, block, block).permute(0, 2, 1, 4, 3).flatten(0, 1)

    q, k, v = map(cut, (q_BHTK, k_BHTK, v_BHTV))
    if causal:
        o = attend(q, k, v, causal=True)
    else:
        real_NS = (torch.arange(count * block, device=q.device) < length).unfold(0, block, block)
        o = attend(q, k, v, sees=real_NS.repeat(batch, 1)[:, None, None])
    return F.pad(o.view(batch, -1, *o.shape[1:]).transpose(1, 2).flatten(2, 3), (0, 0, 0, -short))
