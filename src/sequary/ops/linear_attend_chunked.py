"""The chunked form of `linear_attend`, as an operator with a backward written by hand.

Inside a chunk of C tokens the pairs are a masked product of scores; between chunks only the state passes. With ops/decays.py:

    o = scores(q, k) v + enter(q) S,      S' = keep S + leave(k)ᵀ v

The gradient of the gates needs no pass of its own: G_i multiplies all that reads at i and divides what was written there, so
dG_i = q_i ⊙ dq_i − k_i ⊙ dk_i, and g_i is in every G from i to the chunk's end.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sequary.ops.chunks import chunk_size, cut, groups, join, product, starts_of, states
from sequary.ops.decays import decay_of, rate_gradient
from sequary.ops.operator import asked, complete

Into = tuple[Tensor, Tensor, Tensor]


def _largest(g: Tensor | None) -> int:
    """Tokens of a chunk: the more, the dearer a pair's decay is against its products."""
    return 128 if g is None else 64


@torch.library.custom_op("sequary::linear_attend", mutates_args=())
def chunked(q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(o, last state, states at the chunks' starts and after the last)."""
    size, like = chunk_size(q.shape[1], _largest(g)), v
    q, k, v = (cut(x, size) for x in (q, k, v))
    rates = None if g is None else cut(g, size)
    out, begins = torch.empty_like(v), S.new_empty(len(v) + 1, *S.flatten(0, 1).shape)
    begins[0] = S.flatten(0, 1)
    for now in groups(len(v)):
        decay = decay_of(None if rates is None else rates[now])
        states(begins[now.start : now.stop + 1], decay.leave(k[now]).mT @ v[now], decay.keep)
        product(decay.scores(q[now], k[now]), v[now], out[now])
        product(decay.enter(q[now]), begins[now], out[now], add=True)
    return join(out, like), begins[-1].view(S.shape).clone(), begins


def _fake(q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    begins = S.new_empty(starts_of(q.shape[1], _largest(g)), S.shape[0] * S.shape[1], *S.shape[2:])
    return v.new_empty(v.shape), S.new_empty(S.shape), begins


@torch.library.custom_op("sequary::linear_attend_backward", mutates_args=())
def _backward(
    do: Tensor, dS: Tensor, q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, begins: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, k, v, g (empty without one) and the first state."""
    size, like_k, like_v = chunk_size(q.shape[1], _largest(g)), q, v
    q, k, v, do = (cut(x, size) for x in (q, k, v, do))
    rates = None if g is None else cut(g, size)
    dq, dk, dv = (torch.empty_like(x) for x in (q, k, v))
    dg = None if rates is None else torch.empty_like(rates)
    end = dS.flatten(0, 1)
    for now in reversed(groups(len(v))):
        here = None if rates is None else rates[now]
        into = dq[now], dk[now], dv[now]
        end, last = _group(do[now], end, q[now], k[now], v[now], here, begins[now], into)
        if dg is not None and here is not None:
            after = begins[now.start + 1 : now.stop + 1]
            dg[now] = rate_gradient(here, q[now] * dq[now] - k[now] * dk[now], (after * last).sum(-1))
    found = q.new_empty(0) if dg is None or g is None else join(dg, g)
    return join(dq, like_k), join(dk, like_k), join(dv, like_v), found, end.reshape(dS.shape).clone()


def _group(
    do: Tensor, end: Tensor, q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, begins: Tensor, into: Into
) -> tuple[Tensor, Tensor]:
    """Fill dq, dk and dv; (gradient of the state before these chunks, of the states after each); `end`: of that after them all."""
    decay = decay_of(g)
    dstates = end.new_empty(len(v) + 1, *end.shape)  # backwards in time: of the state after the last chunk first
    dstates[0] = end
    states(dstates, (decay.enter(q).mT @ do).flip(0), None if decay.keep is None else decay.keep.flip(0))
    after = dstates[:-1].flip(0)
    dq, dk, dv = into
    decay.back(do @ v.mT, q, k, dq, dk)
    if decay.keep is None:
        product(do, begins.mT, dq, add=True)
        product(v, after.mT, dk, add=True)
    else:
        dq += decay.enter(do @ begins.mT)
        dk += decay.leave(v @ after.mT)
    product(decay.leave(k), after, dv)
    product(decay.scores(q, k).mT, do, dv, add=True)
    return dstates[-1], after


def _fake_backward(
    do: Tensor, dS: Tensor, q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, begins: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    dq, dk, dv, first = (x.new_empty(x.shape) for x in (q, k, v, dS))
    return dq, dk, dv, q.new_empty(0) if g is None else g.new_empty(g.shape), first


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:4], output[2])
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, do: Tensor | None, dS: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    q, k, v, g, begins = ctx.saved_tensors
    state = asked(dS, v, v.shape[0], v.shape[2], k.shape[3], v.shape[3])
    dq, dk, dv, dg, first = _backward(asked(do, v), state, q, k, v, g, begins)
    return dq, dk, dv, None if g is None else dg, first


complete(chunked, fake=_fake, save=_save, gradients=_gradients)
complete(_backward, fake=_fake_backward)
