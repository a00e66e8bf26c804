"""Multi-scale retention: a matrix of memory a head, which forgets at a rate of the head's own that nothing changes.

Sun et al., Retentive Network (arXiv 2307.08621), section 2.
"""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.projection import check_heads
from sequary.ops.causal_conv import starts
from sequary.ops.linear_attend import linear_attend
from sequary.ops.rotary import rotate


@dataclasses.dataclass(frozen=True, slots=True)
class RetentionState(State):
    """The memory [B, H, K, V], the real tokens so far [B], and the segment [B] of the last one."""

    memory: Tensor
    seen: Tensor
    segment: Tensor


class Retention(Recurrent):
    """S_t = γ_h S_{t-1} + k_t v_tᵀ,  o_t = S_tᵀ q_t / √K,  y_t = W_o (norm(o_t) ⊙ SiLU(W_g x_t)).

    γ_h = 1 − 2^{−5−h} for h = 0 … H − 1. q and k are turned by rotary angles of `base`, which depend on their distance alone;
    with the decay, a form of xPos. H = `heads` heads of K = dim · key_ratio / H (even) and V = dim · value_ratio / H entries;
    the norm is over each head's V entries (group norm), without weights, so that the scale of o_t does not matter.
    """

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        key_ratio: float = 1.0,
        value_ratio: float = 2.0,
        base: float = 10_000.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.heads, self.base, self.eps = heads, base, eps
        self.key = check_heads(int(dim * key_ratio), heads)
        self.value = check_heads(int(dim * value_ratio), heads)
        if self.key % 2:
            raise ValueError(
                f"key_ratio={key_ratio} gives heads of {self.key} entries; rotary angles need an even number"
            )
        self.widths = heads * self.key, heads * self.key, heads * self.value
        self.qkv = nn.Linear(dim, sum(self.widths), bias=False)
        self.g = nn.Linear(dim, heads * self.value, bias=False)
        self.o = nn.Linear(heads * self.value, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> RetentionState:
        like = self.o.weight
        none = like.new_zeros((batch,), dtype=torch.long)
        return RetentionState(like.new_zeros(batch, self.heads, self.key, self.value), none, none - 1)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, RetentionState]:
        assert isinstance(state, RetentionState)
        batch, length, _ = x_BtD.shape
        q, k, v = (rearrange(x, "B t (H K) -> B t H K", H=self.heads) for x in self.qkv(x_BtD).split(self.widths, -1))
        real = torch.ones(batch, length, dtype=torch.long, device=x_BtD.device) if ctx.mask is None else ctx.mask.long()
        position = state.seen[:, None] + real.cumsum(1) - real if ctx.positions is None else ctx.positions
        q, k = (rotate(x.transpose(1, 2), position, base=self.base).transpose(1, 2) for x in (q, k))
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        g = self.log_decay()[:, None].expand(*k.shape[:-1], 1)
        if ctx.mask is not None:  # padding writes nothing and forgets nothing
            padding = ~ctx.mask[..., None, None]
            k, g = k.masked_fill(padding, 0), g.masked_fill(padding, 0)
        if begins is not None:  # a new segment forgets everything
            g = g.masked_fill(begins[..., None, None], -math.inf)
        o_BtHV, memory = linear_attend(q / math.sqrt(self.key), k, v, g, state.memory)
        o = F.layer_norm(o_BtHV, (self.value,), eps=self.eps).flatten(2) * F.silu(self.g(x_BtD))
        return self.o(o), RetentionState(memory, state.seen + real.sum(1), segment)

    def log_decay(self) -> Tensor:
        """[H] log γ."""
        like = self.o.weight
        return torch.log1p(-(2.0 ** (-5 - torch.arange(self.heads, device=like.device, dtype=torch.float64)))).to(like)
