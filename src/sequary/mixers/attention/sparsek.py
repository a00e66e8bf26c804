"""Attention over the pairs of keys and values that a small net scores best (Lou et al., SparseK, arXiv 2406.16747)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.local import counted, marks
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.attend import weights
from sequary.ops.rotary import rotate
from sequary.ops.sparsek import sparsek

CHUNK = 64
"""Tokens that are read at a time: each costs `slots` + CHUNK."""
LEAST = 1e-6
"""Of p: below it a pair is out. Where k pairs are ahead of all others by 1, any τ in between will do, and p is a rounding error."""


@dataclasses.dataclass(frozen=True, slots=True)
class Best(State):
    """The best pairs so far of the segment of the last real token, in the order in which they came: [B, H, S, ·]."""

    k: Tensor
    v: Tensor
    score: Tensor
    """[B, H, S]."""
    real: Tensor
    """[B, H, S] bool: the slot is taken."""
    segment: Tensor
    """[B]: of the last real token."""
    count: Tensor
    """[B]: real tokens so far."""


class SparseKAttention(Recurrent):
    """o_t = Σ_s softmax_s(q_t·k_s / √K) p_ts v_s over the pairs s <= t with p_ts > 0, p_t = clip(u − τ_t, 0, 1), Σ_s p_ts = k.

    u_s = w·x_s, one score a head. Only the `slots` best-scored pairs so far take part, so a pair that drops out never returns and the
    state does not grow; p is their projection (the paper's is over all scores so far, which is the same where those with p > 0
    are at most `slots`). Up to k pairs p is 1. `base`: of the rotary angles; None for no positions.
    """

    tiny = {"heads": 2, "k": 2, "slots": 4}
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        k: int = 32,
        slots: int = 64,
        width: int | None = None,
        base: float | None = 10_000.0,
    ) -> None:
        super().__init__()
        if not 0 < k <= slots:
            raise ValueError(f"k={k} must lie in 1..slots={slots}: the state holds {slots} pairs")
        self.heads, self.k, self.slots, self.base = heads, k, slots, base
        self.width = check_heads(dim, heads) if width is None else width
        self.qkv = QKV(dim, width=heads * self.width, bias=False)
        self.score = nn.Linear(dim, heads, bias=False)  # a bias would only move τ
        self.o = nn.Linear(heads * self.width, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Best:
        like = self.o.weight
        k, v = (like.new_zeros(batch, self.heads, self.slots, self.width) for _ in range(2))
        none = like.new_zeros(batch, self.heads, self.slots)
        one = like.new_zeros(batch, dtype=torch.long)
        return Best(k, v, none, none.bool(), one - 1, one)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Best)
        real, segment = marks(ctx, x_BtD.shape[0], x_BtD.shape[1], x_BtD.device)
        positions = counted(ctx, real, state.count)
        if torch.compiler.is_exporting():  # one graph for all lengths, and so one chunk
            return self._chunk(x_BtD, state, real, segment, positions)
        said: list[Tensor] = []
        for first in range(0, x_BtD.shape[1], CHUNK):
            now = slice(first, first + CHUNK)
            y, state = self._chunk(x_BtD[:, now], state, real[:, now], segment[:, now], positions[:, now])
            said.append(y)
        return torch.cat(said, 1), state

    def _chunk(
        self, x_BtD: Tensor, state: Best, real_Bt: Tensor, segment_Bt: Tensor, positions_Bt: Tensor
    ) -> tuple[Tensor, Best]:
        q, k, v = self.qkv(x_BtD, None, self.heads)
        if self.base is not None:
            q, k = (rotate(x, positions_Bt, base=self.base) for x in (q, k))
        u = self.score(x_BtD).transpose(1, 2)
        every = real_Bt[:, None].expand_as(u)
        # Candidates, old and new, by falling score; of equal ones the earlier first.
        score, order = torch.cat((state.score, u), -1).sort(dim=-1, descending=True, stable=True)
        k, v = (
            torch.cat(pair, 2).gather(2, order[..., None].expand(-1, -1, -1, self.width))
            for pair in ((state.k, k), (state.v, v))
        )
        there = torch.cat((state.real, every), -1).gather(-1, order)
        segments = torch.cat((state.segment[:, None].expand(-1, self.slots), segment_Bt), 1)
        label = segments[:, None].expand_as(order).gather(-1, order)
        at = torch.arange(x_BtD.shape[1], device=x_BtD.device) + self.slots
        sees = (order[..., None, :] <= at[:, None]) & (label[..., None, :] == segment_Bt[:, None, :, None])
        member = self._best(sees & there[..., None, :])
        p = sparsek(score.to(torch.promote_types(score.dtype, torch.float32)), member, self.k).to(v.dtype)
        o = (weights(q, k, sees=member & (p > LEAST)) * p) @ v
        last = _last(segment_Bt, real_Bt, state.segment)
        kept = self._best((there & (label == last[:, None, None]))[..., None, :])[..., 0, :]
        # The kept ones first, as they came; slots left over hold what is not real.
        place = torch.where(kept, order, order + 2 * order.shape[-1]).argsort(-1)[..., : self.slots]
        wide = place[..., None].expand(-1, -1, -1, self.width)
        flat = (score.gather(-1, place), kept.gather(-1, place))
        return self.o(join(o)), Best(k.gather(2, wide), v.gather(2, wide), *flat, last, state.count + real_Bt.sum(1))

    def _best(self, sees_BHtS: Tensor) -> Tensor:
        """The first `slots` that are seen, of candidates by falling score."""
        return sees_BHtS & (sees_BHtS.long().cumsum(-1) <= self.slots)


def _last(segment_Bt: Tensor, real_Bt: Tensor, before_B: Tensor) -> Tensor:
    """[B]: the segment of the last real token, or as it was."""
    latest = (real_Bt.long() * torch.arange(1, real_Bt.shape[1] + 1, device=real_Bt.device)).amax(1)
    found = segment_Bt.gather(1, (latest - 1).clamp(min=0)[:, None])[:, 0]
    return torch.where(latest > 0, found, before_B)
