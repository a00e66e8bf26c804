"""A softmax over the last K tokens and one entry more, channel by channel, whose logits no query changes.

    y_t = (exp(z_t) o_t + Σ_{j<K} exp(k_{t−j} + w_j) v_{t−j}) / (exp(z_t) + Σ_{j<K} exp(k_{t−j} + w_j))

z and o stand for what lies before the window (prefix_softmax.py), w for how much each lag counts. Two forms: "reference", a softmax over
K + 1 copies of the sequence (any derivative), and "chunked", block by block in passes over the lags, which holds no copy.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sequary.ops.forms import chosen, recurrent
from sequary.ops.operator import complete

BLOCK = 64
"""Tokens whose passes are one after the other: what they read and write stays in a core's cache."""


def window_softmax(
    k_BSE: Tensor, v_BSE: Tensor, w_KE: Tensor, z_BTE: Tensor, o_BTE: Tensor, runs_BS: Tensor | None = None
) -> Tensor:
    """y [B, T, E]; S = K − 1 + T, the tokens before the first ones in front; w from the oldest lag to the token itself.

    A key of the least finite number is not there; nor is one whose `runs` differs from that of the token that reads.
    """
    wide = torch.promote_types(k_BSE.dtype, torch.float32)
    k, v, w, z, o = (x.to(wide) for x in (k_BSE, v_BSE, w_KE, z_BTE, o_BTE))
    plain = chosen(recurrent(z.shape[1])) == "reference"
    y_BTE: Tensor = _plain(k, v, w, z, o, runs_BS) if plain else chunked(k, v, w, z, o, runs_BS)[0]
    return y_BTE.to(v_BSE.dtype)


def _plain(k: Tensor, v: Tensor, w: Tensor, z: Tensor, o: Tensor, runs: Tensor | None) -> Tensor:
    length = z.shape[1]
    seen = [slice(tap, tap + length) for tap in range(len(w))]
    logits = [_logits(k, w, runs, tap, slice(0, length)) for tap in range(len(w))]
    share = torch.stack((z, *logits), -1).softmax(-1)
    return (share * torch.stack((o, *(v[:, s] for s in seen)), -1)).sum(-1)


def _logits(k: Tensor, w: Tensor, runs: Tensor | None, tap: int, at: slice) -> Tensor:
    """Of one lag, for the tokens `at`."""
    seen = slice(at.start + tap, at.stop + tap)
    found = k[:, seen] + w[tap]
    if runs is None:
        return found
    same = runs[:, seen] == runs[:, len(w) - 1 + at.start : len(w) - 1 + at.stop]
    return found.masked_fill(~same[..., None], torch.finfo(k.dtype).min)


def _blocks(length: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK)]


@torch.library.custom_op("sequary::window_softmax", mutates_args=())
def chunked(k: Tensor, v: Tensor, w: Tensor, z: Tensor, o: Tensor, runs: Tensor | None) -> tuple[Tensor, Tensor]:
    """(y, the logarithm of what it was divided by)."""
    y, total = (torch.empty_like(z, memory_format=torch.contiguous_format) for _ in range(2))
    for at in _blocks(z.shape[1]):
        logits = [_logits(k, w, runs, tap, at) for tap in range(len(w))]
        top = z[:, at]
        for a in logits:
            top = torch.maximum(top, a)
        weight = (z[:, at] - top).exp_()
        mixed = weight * o[:, at]
        for tap, a in enumerate(logits):
            p = a.sub_(top).exp_()
            weight += p
            mixed.addcmul_(p, v[:, at.start + tap : at.stop + tap])
        torch.div(mixed, weight, out=y[:, at])
        torch.add(top, weight.log_(), out=total[:, at])
    return y, total


@torch.library.custom_op("sequary::window_softmax_backward", mutates_args=())
def _backward(
    dy: Tensor,
    k: Tensor,
    v: Tensor,
    w: Tensor,
    z: Tensor,
    o: Tensor,
    runs: Tensor | None,
    y: Tensor,
    total: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of k, v, w, z and o."""
    dk, dv, dw = torch.zeros_like(k), torch.zeros_like(v), torch.zeros_like(w)
    do = (z - total).exp_().mul_(dy)
    inner = dy * y
    dz = do * (o - y)
    for at in _blocks(z.shape[1]):
        for tap in range(len(w)):
            seen = slice(at.start + tap, at.stop + tap)
            p = _logits(k, w, runs, tap, at).sub_(total[:, at]).exp_()
            dv[:, seen].addcmul_(p, dy[:, at])
            p.mul_(torch.addcmul(-inner[:, at], dy[:, at], v[:, seen]))
            dk[:, seen] += p
            dw[tap] += p.sum((0, 1))
    return dk, dv, dw, dz, do


def _fake(k: Tensor, v: Tensor, w: Tensor, z: Tensor, o: Tensor, runs: Tensor | None) -> tuple[Tensor, Tensor]:
    return z.new_empty(z.shape), z.new_empty(z.shape)


def _fake_backward(dy: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return tuple(x.new_empty(x.shape) for x in inputs[:5])


def _save(ctx: Any, inputs: tuple[Tensor | None, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, *output)


def _gradients(ctx: Any, dy: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return (*_backward(dy, *ctx.saved_tensors), None)


complete(chunked, fake=_fake, save=_save, gradients=_gradients)
complete(_backward, fake=_fake_backward)
