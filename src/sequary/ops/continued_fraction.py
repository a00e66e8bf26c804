"""f(a) = 1 / (a_1 + 1 / (a_2 + … + 1 / a_d)) with one division, by continuants (Dhurandhar et al., arXiv 2601.21766).

K_0 = 1, K_1 = a_d, K_i = a_{d−i+1} K_{i−1} + K_{i−2}, and f = K_{d−1} / K_d, where |K_d| counts as `least` at least: f has poles.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sequary.ops.forms import chosen
from sequary.ops.operator import complete


def continued_fraction(a: Tensor, least: float = 0.01) -> Tensor:
    """[..., d] -> [...]. Forms: "reference" (autograd through the recurrence), "closed" (below, the default)."""
    return _loop(a, least) if chosen("closed") == "reference" else closed(a, least)


def continuants(a: Tensor) -> list[Tensor]:
    """K_0 … K_d, each [...]."""
    found = [torch.ones_like(a[..., 0]), a[..., -1]]
    for i in range(2, a.shape[-1] + 1):
        found.append(a[..., -i] * found[-1] + found[-2])
    return found


def bounded(k: Tensor, least: float) -> Tensor:
    return torch.where(k.abs() < least, torch.where(k < 0, -least, least).to(k.dtype), k)


def _loop(a: Tensor, least: float) -> Tensor:
    found = continuants(a)
    return found[-2] / bounded(found[-1], least)


@torch.library.custom_op("sequary::continued_fraction", mutates_args=())
def closed(a: Tensor, least: float) -> Tensor:
    """Its derivative by a_k is (−1)^k (K_{d−k} / K_d)²: with the one quotient 1 / K_d again, and without the recurrence's graph."""
    return _loop(a, least)


def _fake(a: Tensor, least: float) -> Tensor:
    return torch.empty_like(a[..., 0])


def _save(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.least = inputs[1]


def _gradients(ctx: Any, df: Tensor) -> tuple[Tensor, None]:
    """Where K_d is held at `least`, only K_{d−1} moves: by a_k it changes by K(a_2 … a_{k−1}) K(a_{k+1} … a_d)."""
    (a,) = ctx.saved_tensors
    found = continuants(a)
    d = len(found) - 1
    inverse, held = bounded(found[-1], ctx.least).reciprocal(), found[-1].abs() < ctx.least
    before, last = torch.zeros_like(inverse), torch.ones_like(inverse)  # K(a_2 … a_{k−1}) for k = 1 and 2
    each: list[Tensor] = []
    for k in range(1, d + 1):
        free = (found[d - k] * inverse).square() * (-1.0 if k % 2 else 1.0)
        each.append(df * torch.where(held, before * found[d - k] * inverse, free))
        before, last = (last, before) if k == 1 else (a[..., k - 1] * before + last, before)
    return torch.stack(each, -1), None


complete(closed, fake=_fake, save=_save, gradients=_gradients)
