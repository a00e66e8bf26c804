"""`linear_attend` where a head has one key entry: a sum that decays, channel by channel, as an operator with a backward written by hand.

    h_t = exp(g_t) h_{t-1} + x_t        h [B, H, V], one rate a head

One pass over the tokens, each a fused multiply-add of a whole row of channels; nothing is kept but h. Chunks would make [C, C] weights
for each head, which pays where many entries share them, and here none do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sequary.ops.operator import complete

HEADS = 16
"""From so many on a row of channels is long enough that a call for each token is no loss."""


def channelwise(q: Tensor, k: Tensor, v: Tensor, g: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """q, k, g [B, T, H, 1], v [B, T, H, V], S [B, H, 1, V] -> (o, last state)."""
    h = decaying(k * v, g[..., 0].exp(), S[:, :, 0])
    return q * h, h[:, -1, :, None].clone()  # no view, which would hold all of h


@torch.library.custom_op("sequary::decaying_sum", mutates_args=())
def decaying(x: Tensor, keep: Tensor, h: Tensor) -> Tensor:
    """x [B, T, H, V], keep [B, T, H], h [B, H, V] before the first token -> h [B, T, H, V]."""
    found, by = torch.empty_like(x, memory_format=torch.contiguous_format), keep[..., None]
    for now, new, rate in zip(found.unbind(1), x.unbind(1), by.unbind(1), strict=True):
        h = torch.addcmul(new, rate, h, out=now)
    return found


@torch.library.custom_op("sequary::decaying_sum_backward", mutates_args=())
def _backward(grad: Tensor, keep: Tensor, h: Tensor, found: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, keep and h; `found`: the sums."""
    grad, by = grad.clone(memory_format=torch.contiguous_format), keep[..., None].unbind(1)
    each = grad.unbind(1)
    for t in range(len(each) - 1, 0, -1):
        each[t - 1].addcmul_(by[t], each[t])
    dkeep = torch.empty_like(keep)
    dkeep[:, 1:] = (grad[:, 1:] * found[:, :-1]).sum(-1)
    dkeep[:, 0] = (grad[:, 0] * h).sum(-1)
    return grad, dkeep, by[0] * each[0]


def _fake(x: Tensor, keep: Tensor, h: Tensor) -> Tensor:
    return x.new_empty(x.shape)


def _fake_backward(grad: Tensor, keep: Tensor, h: Tensor, found: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return grad.new_empty(grad.shape), keep.new_empty(keep.shape), h.new_empty(h.shape)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    _, keep, h = inputs
    ctx.save_for_backward(keep, h, output)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _backward(grad, *ctx.saved_tensors)


complete(decaying, fake=_fake, save=_save, gradients=_gradients)
complete(_backward, fake=_fake_backward)
