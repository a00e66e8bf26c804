"""Operators of our own, opaque to torch's tracers: export keeps the length dynamic, compile makes one graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def complete(
    op: Any,
    *,
    fake: Callable[..., Any],
    save: Callable[..., None] | None = None,
    gradients: Callable[..., Any] | None = None,
) -> None:
    """Give a `torch.library.custom_op` its shapes (`fake`) and, unless it is a backward itself, its derivative."""
    op.register_fake(fake)
    if gradients is not None:
        op.register_autograd(gradients, setup_context=save)


def asked(gradient: Tensor | None, like: Tensor, *shape: int) -> Tensor:
    """A gradient that reached a derivative by hand: zeros of `shape`, or as `like`, where nothing depends on that output.

    For operators that return more than most callers use, and so set `ctx.set_materialize_grads(False)`.
    """
    return like.new_zeros(shape or like.shape) if gradient is None else gradient.contiguous()
