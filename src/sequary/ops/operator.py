"""Operators of our own, opaque to torch's tracers: export keeps the length dynamic, compile makes one graph.

Opaque to `torch.func` too: `grad` and the like of a member fail in the default forms, and work under `forms.form("reference")`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def complete(
    op: Any,
    *,
    fake: Callable[..., Any],
    save: Callable[..., None] | None = None,
    gradients: Callable[..., Any] | None = None,
    half: bool = False,
) -> None:
    """Give a `torch.library.custom_op` its shapes (`fake`) and, unless it is a backward itself, its derivative.

    Under autocast it runs in float32 (float64 stays), or with `half` in the types that it is given.
    """
    op.register_fake(fake)
    if not half:
        # Autocast stays on inside an operator: products there would round sums that are carried on, and meet buffers of other types.
        for device in ("cpu", "cuda"):
            op.register_autocast(device, torch.float32)
    if gradients is not None:
        op.register_autograd(gradients, setup_context=save)


def asked(gradient: Tensor | None, like: Tensor, *shape: int) -> Tensor:
    """A gradient that reached a derivative by hand: zeros of `shape`, or as `like`, where nothing depends on that output.

    For operators that return more than most callers use, and so set `ctx.set_materialize_grads(False)`.
    """
    return like.new_zeros(shape or like.shape) if gradient is None else gradient.contiguous()
