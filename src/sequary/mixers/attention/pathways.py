"""Attention that learns on a random part of its keys (Hussain et al., The Information Pathways Hypothesis, arXiv 2306.01705)."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.attend import attend
from sequary.ops.causal_attend import causal_attend
from sequary.ops.rotary import rotate


class PathwayAttention(Recurrent):
    """Causal softmax attention over all keys; inside `pathways`, over a random `share` of them, drawn anew at each call.

    ⌈share · T⌉ positions are drawn without repetition, the same for all rows and heads: scores take `share` of the memory and time. A
    query before the first of them reads nothing. From `ctx.rng`, or torch's own generator where there is none.
    """

    orders = True
    grows = True

    def __init__(self, dim: int, *, heads: int = 4, share: float = 0.25, base: float = 10_000.0) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ValueError(f"share={share} of the keys: use a number above 0, at most 1")
        self.heads, self.share, self.base, self.width = heads, share, base, check_heads(dim, heads)
        self.sampling = False
        self.qkv = QKV(dim, width=dim, bias=False)
        self.o = nn.Linear(dim, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v = self.project(x_BTD, ctx.position_ids(batch, length, x_BTD.device))
        sees = ctx.sees(batch, length, x_BTD.device, causal=True)
        if not self.sampling:
            return self.o(join(causal_attend(q, k, v) if sees is None else attend(q, k, v, sees=sees)))
        drawn = torch.randperm(length, generator=ctx.rng)[: math.ceil(self.share * length)].to(x_BTD.device)
        past = (drawn <= torch.arange(length, device=x_BTD.device)[:, None])[None]
        sees = past if sees is None else sees[..., drawn]
        return self.o(join(attend(q, k[:, :, drawn], v[:, :, drawn], sees=sees)))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return Cache.empty(batch, self.heads, self.width, self.width, self.o.weight)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        """Over all keys."""
        assert isinstance(state, Cache)
        q, k, v = self.project(x_BtD, state.positions(ctx, x_BtD.shape[0], x_BtD.shape[1]))
        state, sees = state.append(k, v, ctx)
        return self.o(join(attend(q, state.k, state.v, sees=sees))), state

    def project(self, x_BtD: Tensor, positions_Bt: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys turned by their positions, and values: [B, H, t, K] each."""
        q, k, v = self.qkv(x_BtD, None, self.heads)
        return rotate(q, positions_Bt, base=self.base), rotate(k, positions_Bt, base=self.base), v


@contextmanager
def pathways(model: nn.Module) -> Generator[None]:
    """Inside, every `PathwayAttention` of the model reads the keys that it draws."""
    found = [m for m in model.modules() if isinstance(m, PathwayAttention)]
    for m in found:
        m.sampling = True
    try:
        yield
    finally:
        for m in found:
            m.sampling = False
