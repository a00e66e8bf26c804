"""Who sees whom inside groups of queries that share their keys."""

from __future__ import annotations

from torch import Tensor

from sequary.core.ctx import Ctx


def sees_inside(ctx: Ctx, queries_GQ: Tensor, keys_GN: Tensor) -> Tensor:
    """[B or 1, G, Q, N] bool: may query q of group g read its key n? Fillers (−1) are read by no one."""
    queries, keys = queries_GQ.clamp(min=0), keys_GN.clamp(min=0)
    sees = (keys_GN >= 0)[None, :, None, :]
    if ctx.mask is not None:
        sees = sees & ctx.mask[:, keys][:, :, None]
    if ctx.segments is not None:
        sees = sees & (ctx.segments[:, keys][:, :, None] == ctx.segments[:, queries][..., None])
    if ctx.order is not None:
        sees = sees & (ctx.order[:, keys][:, :, None] <= ctx.order[:, queries][..., None])
    return sees
