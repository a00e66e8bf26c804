"""Leaky integrate-and-fire neurons: a potential that leaks, a spike where it reaches the threshold, and then a new start from 0.

    u_t = keep_t v_{t-1} + x_t,  s_t = 1 if u_t >= θ else 0,  v_t = u_t (1 − s_t)

The derivative of a spike is a surrogate's: that of σ(u − θ) = arctan(π α (u − θ) / 2) / π + 1/2 (Fang et al., arXiv 2007.05785); the new
start has none (Zenke and Vogels, 2021).

Forms: "reference", a loop in torch's graph, and "fused" (the default), an operator of our own, since that graph is as long as the
sequence; its derivative is the loop's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sequary.ops.forms import chosen
from sequary.ops.operator import complete

Surrogate = Callable[[Tensor], Tensor]
"""u − θ -> what a spike is taken for where it is differentiated."""


def integrate_fire(
    x_BTD: Tensor, keep_BT: Tensor, v_BD: Tensor, *, threshold: float, alpha: float
) -> tuple[Tensor, Tensor]:
    """(spikes s, potentials v), both [B, T, D]. `keep` is what is left of a potential, 1 at padding, 0 at the start of a segment."""
    if chosen("fused") == "reference":
        return loop(x_BTD, keep_BT, v_BD, threshold, arctan(alpha))
    spikes, potentials = fused(x_BTD, keep_BT, v_BD, threshold, alpha)
    return spikes, potentials


def arctan(alpha: float) -> Surrogate:
    return lambda gap: (math.pi / 2 * alpha * gap).atan() / math.pi + 0.5


def fire(gap: Tensor, surrogate: Surrogate) -> Tensor:
    """1 from 0 on, else 0; the slope of `surrogate`."""
    soft = surrogate(gap)
    return soft - soft.detach() + (gap >= 0).to(gap.dtype)


def loop(
    x_BTD: Tensor, keep_BT: Tensor, v_BD: Tensor, threshold: float, surrogate: Surrogate, *, detach: bool = True
) -> tuple[Tensor, Tensor]:
    """`detach`: the new start has no derivative."""
    spikes: list[Tensor] = []
    potentials: list[Tensor] = []
    for t in range(x_BTD.shape[1]):
        u_BD = keep_BT[:, t, None] * v_BD + x_BTD[:, t]
        s_BD = fire(u_BD - threshold, surrogate)
        v_BD = u_BD * (1 - (s_BD.detach() if detach else s_BD))
        spikes.append(s_BD)
        potentials.append(v_BD)
    return torch.stack(spikes, 1), torch.stack(potentials, 1)


@torch.library.custom_op("sequary::integrate_fire", mutates_args=())
def fused(x: Tensor, keep: Tensor, v: Tensor, threshold: float, alpha: float) -> tuple[Tensor, Tensor]:
    spikes, potentials = torch.empty_like(x), torch.empty_like(x)
    for t in range(x.shape[1]):
        u = torch.addcmul(x[:, t], keep[:, t, None], v)
        s = u >= threshold
        v = u.masked_fill(s, 0)
        spikes[:, t], potentials[:, t] = s, v
    return spikes, potentials


def _fake(x: Tensor, keep: Tensor, v: Tensor, threshold: float, alpha: float) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(x)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, keep, v, ctx.threshold, ctx.alpha = inputs
    ctx.save_for_backward(x, keep, v, *output)


def _gradients(ctx: Any, ds: Tensor, dv: Tensor) -> tuple[Any, ...]:
    """Backwards in time: du_t = ds_t σ'(u_t − θ) + (1 − s_t) (dv_t + keep_{t+1} du_{t+1})."""
    x, keep, first, spikes, potentials = ctx.saved_tensors
    before = torch.cat((first[:, None], potentials[:, :-1]), 1)
    gap = keep[..., None] * before + x - ctx.threshold
    slope = ctx.alpha / 2 / (1 + (math.pi / 2 * ctx.alpha * gap).square())
    fired, passed = ds * slope, 1 - spikes
    carried, grads = torch.zeros_like(first), torch.empty_like(x)
    for t in reversed(range(x.shape[1])):
        grads[:, t] = fired[:, t] + passed[:, t] * (dv[:, t] + carried)
        carried = keep[:, t, None] * grads[:, t]
    return grads, (grads * before).sum(-1), carried, None, None


complete(fused, fake=_fake, save=_save, gradients=_gradients)
