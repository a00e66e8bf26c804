"""What of a model learns in a stage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

from sequary.core.contracts import Model


@contextlib.contextmanager
def learning(model: Model, name: str) -> Iterator[nn.Module]:
    """The part of `model` that a stage names, in training mode; all else is frozen, and in evaluation mode.

    Evaluation mode for what is frozen keeps its dropout still and its running statistics as they are. A parameter that was
    frozen before stays so. On leaving, `requires_grad` is as before and the whole model in evaluation mode.
    """
    part = _named(model, name)
    inside = {id(p) for p in part.parameters()}
    frozen = [p for p in model.parameters() if p.requires_grad and id(p) not in inside]
    if not any(p.requires_grad for p in part.parameters()):
        raise ValueError(f"learns={name!r}: no parameter there requires a gradient; name another part, or unfreeze it")
    for p in frozen:
        p.requires_grad_(False)
    model.eval()
    part.train()
    try:
        yield part
    finally:
        for p in frozen:
            p.requires_grad_(True)
        model.eval()


def _named(model: Model, name: str) -> nn.Module:
    if name == "model":
        return model
    try:
        return model.get_submodule(name)
    except AttributeError:
        known = ", ".join(n for n, _ in model.named_children())
        raise ValueError(f"learns={name!r}: the model has no such part; it has {known}") from None


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; every module's own mode afterwards."""
    modes = [(m, m.training) for m in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
