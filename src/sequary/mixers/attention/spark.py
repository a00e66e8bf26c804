"""Attention to few keys, which part of each query and key tells apart (You et al., Spark Transformer, arXiv 2506.06644)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.rotary import rotate
from sequary.ops.statistical_topk import top_keys


class SparkAttention(Recurrent):
    """o_t = Σ_s p_ts softplus(q_t[r:]·k_s[r:] / √(K−r)) v_s, p_t = softmax over about `keys` keys s <= t that score highest by
    q_t[:r]·k_s[:r] / √r.

    Which they are says statistical top-k over the keys that t may see. r = `split`, half of a head unless given, even as K − r is: each
    part has rotary positions of its own. The tape hears "attention" [B, H, T, S], p · softplus.
    """

    tiny = {"heads": 2, "keys": 3}
    orders = True
    grows = True

    def __init__(
        self, dim: int, *, heads: int = 4, keys: int = 256, split: int | None = None, base: float = 10_000.0
    ) -> None:
        super().__init__()
        self.heads, self.width, self.keys, self.base = heads, check_heads(dim, heads), keys, base
        self.split = self.width // 2 if split is None else split
        if keys < 1 or self.split % 2 or self.width % 2 or not 0 < self.split < self.width:
            raise ValueError(
                f"keys={keys}, split={self.split}, heads of width {self.width}: at least one key, and two even parts"
            )
        self.qkv = QKV(dim, width=dim, bias=False)
        self.o = nn.Linear(dim, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v = self.qkv(x_BTD, None, self.heads)
        at = ctx.position_ids(batch, length, x_BTD.device)
        sees = ctx.sees(batch, length, x_BTD.device, causal=True)
        if sees is None:
            sees = torch.ones(1, length, length, dtype=torch.bool, device=x_BTD.device).tril()
        return self._read(self._turn(q, at), self._turn(k, at), v, sees, ctx)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return Cache.empty(batch, self.heads, self.width, self.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Cache)
        q, k, v = self.qkv(x_BtD, None, self.heads)
        at = state.positions(ctx, x_BtD.shape[0], x_BtD.shape[1])
        state, sees = state.extend(self._turn(k, at), v, ctx)
        return self._read(self._turn(q, at), state.k, state.v, sees, ctx), state

    def _turn(self, x_BHtK: Tensor, at_Bt: Tensor) -> Tensor:
        first, second = x_BHtK[..., : self.split], x_BHtK[..., self.split :]
        return torch.cat((rotate(first, at_Bt, base=self.base), rotate(second, at_Bt, base=self.base)), -1)

    def _read(self, q: Tensor, k: Tensor, v: Tensor, sees_BTS: Tensor, ctx: Ctx) -> Tensor:
        r = self.split
        scores = q[..., :r] @ k[..., :r].transpose(-1, -2) / math.sqrt(r)
        kept = top_keys(scores, sees_BTS[:, None].expand_as(scores), self.keys)
        filled = scores.masked_fill(~kept, torch.finfo(scores.dtype).min)
        wide = torch.promote_types(scores.dtype, torch.float32)
        p = filled.softmax(-1, dtype=wide).to(scores.dtype) * kept
        rest = q[..., r:] @ k[..., r:].transpose(-1, -2) / math.sqrt(self.width - r)
        weights = p * F.softplus(rest)
        ctx.tell("attention", lambda: weights)
        return self.o(join(weights @ v))
