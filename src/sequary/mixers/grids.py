"""The grid that a mixer over images (or longer boxes) finds in its context, and the context of pieces of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from sequary.core.ctx import Ctx


def grid_of(ctx: Ctx, length: int, dims: tuple[int, ...], name: str) -> tuple[int, ...]:
    """`ctx.grid`, which must have one of `dims` axes and as many cells as there are tokens."""
    if ctx.grid is None or len(ctx.grid) not in dims:
        axes = " or ".join(str(d) for d in dims)
        raise ValueError(f"{name} needs ctx.grid of {axes} axes, found {ctx.grid}; give Ctx(grid=(height, width))")
    if math.prod(ctx.grid) != length:
        raise ValueError(f"{name}: grid={ctx.grid} has {math.prod(ctx.grid)} cells, but there are {length} tokens")
    return ctx.grid


def spread(x: Tensor, axis: int, sizes: Sequence[int]) -> Tensor:
    """`axis` (counted from the front) as several axes."""
    return x.reshape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])


def folded(ctx: Ctx, fold: Callable[[Tensor], Tensor]) -> Ctx:
    """What decides who sees whom (mask, segments, order), each [B, T] -> [rows, cells] by `fold`."""
    mask, segments, order = (None if t is None else fold(t) for t in (ctx.mask, ctx.segments, ctx.order))
    return Ctx(mask=mask, segments=segments, order=order)


def sees_at(ctx: Ctx, keys_TN: Tensor) -> Tensor | None:
    """[B, T, N] bool: may query t read key `keys_TN[t, n]`? None where `ctx` forbids nothing."""
    allowed: list[Tensor] = []
    if ctx.mask is not None:
        allowed.append(ctx.mask[:, keys_TN])
    if ctx.segments is not None:
        allowed.append(ctx.segments[:, keys_TN] == ctx.segments[:, :, None])
    if ctx.order is not None:
        allowed.append(ctx.order[:, keys_TN] <= ctx.order[:, :, None])
    sees = None
    for each in allowed:
        sees = each if sees is None else sees & each
    return sees
