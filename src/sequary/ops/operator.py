"""Operators of our own, opaque to torch's tracers: export keeps the length dynamic, compile makes one graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


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
