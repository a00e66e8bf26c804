"""The chunked form of `vector_decay`, as an operator with a backward written by hand.

The textbook chunk, (q exp G)(k exp −G)ᵀ with running sums G, overflows when gates close. Here each chunk is halved again and
again; pairs (query in a right half, key in its left half) decay by exp(from the border to the query) · exp(from the key to the
border). Both exponents are sums of log-gates that start at the border, so they are <= 0 and nothing is ever subtracted: exact
for any gate, closed ones included, and so is the gradient.

Inside: [N, B·H, C, K], N chunks of C = a power of two tokens, the last one filled up with zeros.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.operator import complete

CHUNK, GROUP = 64, 16


def _chunk_size(length: int) -> int:
    return min(CHUNK, 1 << (length - 1).bit_length())


def _cut(x: Tensor, size: int) -> Tensor:
    rows, length, heads, width = x.shape
    x = F.pad(x.transpose(1, 2), (0, 0, 0, -length % size))
    return x.reshape(rows * heads, -1, size, width).transpose(0, 1).contiguous()


def _join(x: Tensor, like: Tensor) -> Tensor:
    rows, length, heads, width = like.shape
    x = x.transpose(0, 1).reshape(rows, heads, -1, width)[:, :, :length]
    return x.transpose(1, 2).contiguous()


def _halves(x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Views [C/2size · leading, size, K] of the left and right halves of the blocks of 2·size tokens."""
    left, right = x.view(*x.shape[:-2], -1, 2, size, x.shape[-1]).unbind(-3)
    return left, right


class _Level:
    """The pairs of one level of halving: decayed queries of the right halves, decayed keys of the left ones."""

    def __init__(self, size: int, q: Tensor, k: Tensor, since: Tensor, until: Tensor) -> None:
        self.size = size
        self.q_decay = _halves(since, size)[1].exp()
        self.k_decay = _halves(until, size)[0].exp()
        self.q = _halves(q, size)[1] * self.q_decay
        self.k = _halves(k, size)[0] * self.k_decay


def _levels(q: Tensor, k: Tensor, g: Tensor) -> tuple[list[_Level], Tensor, Tensor]:
    """(levels, sum of g from a chunk's start to each token inclusive, sum of g after each token to the chunk's end)."""
    since, until = g.clone(), torch.zeros_like(g)
    levels: list[_Level] = []
    size = 1
    while size < g.shape[-2]:
        levels.append(_Level(size, q, k, since, until))
        (since_left, since_right), (until_left, _) = _halves(since, size), _halves(until, size)
        until_left += since_right[..., -1:, :]
        since_right += since_left[..., -1:, :]
        size *= 2
    return levels, since, until


def _scores(q: Tensor, k: Tensor, levels: list[_Level]) -> Tensor:
    """A[i, j] = sum over K of q_i exp(g_{j+1} + … + g_i) k_j inside each chunk, lower-triangular."""
    scores = q.new_zeros(*q.shape[:-1], q.shape[-2])
    scores.diagonal(dim1=-2, dim2=-1).copy_((q * k).sum(-1))
    for level in levels:
        _blocks(scores, level.size).copy_(level.q @ level.k.mT)
    return scores


def _blocks(scores: Tensor, size: int) -> Tensor:
    """View [..., C/2size, size, size]: the (right, left) blocks of one level on the diagonal."""
    count = scores.shape[-1] // (2 * size)
    blocks = scores.view(*scores.shape[:-2], count, 2, size, count, 2, size)[..., :, 1, :, :, 0, :]
    return blocks.diagonal(dim1=-4, dim2=-2).movedim(-1, -3)


@torch.library.custom_op("sequary::vector_decay", mutates_args=())
def chunked(q: Tensor, k: Tensor, v: Tensor, g: Tensor, S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(o, last state, states at the chunks' starts and after the last: a number that is never 1, which tracing would fix)."""
    size, like = _chunk_size(q.shape[1]), v
    q, k, v, g = (_cut(x, size) for x in (q, k, v, g))
    out, begins = torch.empty_like(v), S.new_empty(len(v) + 1, *S.flatten(0, 1).shape)
    begins[0] = S.flatten(0, 1)
    for now in _groups(len(v)):
        levels, since, until = _levels(q[now], k[now], g[now])
        _states(begins[now.start : now.stop + 1], (k[now] * until.exp_()).mT @ v[now], since[..., -1, :].exp())
        out[now] = _scores(q[now], k[now], levels) @ v[now]
        out[now] += (q[now] * since.exp_()) @ begins[now]
    return _join(out, like), begins[-1].view(S.shape).clone(), begins


def _groups(chunks: int) -> list[slice]:
    """Runs of chunks whose temporary tensors are held together."""
    return [slice(n, min(n + GROUP, chunks)) for n in range(0, chunks, GROUP)]


def _states(states: Tensor, added: Tensor, decay: Tensor) -> None:
    """Fill states[1:] [N, B·H, K, V] from states[0]: each the one before, decayed, and what its chunk adds."""
    for n, (new, by) in enumerate(zip(added, decay[..., None], strict=True)):
        torch.addcmul(new, by, states[n], out=states[n + 1])


def _fake(q: Tensor, k: Tensor, v: Tensor, g: Tensor, S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    chunks = (q.shape[1] + CHUNK - 1) // CHUNK + 1
    return v.new_empty(v.shape), S.new_empty(S.shape), S.new_empty(chunks, S.shape[0] * S.shape[1], *S.shape[2:])


@torch.library.custom_op("sequary::vector_decay_backward", mutates_args=())
def _chunked_backward(
    do: Tensor, dS: Tensor, q: Tensor, k: Tensor, v: Tensor, g: Tensor, begins: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, k, v, g and the first state."""
    size, like_k, like_v = _chunk_size(q.shape[1]), q, v
    q, k, v, g, do = (_cut(x, size) for x in (q, k, v, g, do))
    dq, dk, dv, dg = (torch.empty_like(x) for x in (q, k, v, g))
    end = dS.flatten(0, 1)
    for now in reversed(_groups(len(v))):
        dq[now], dk[now], dv[now], dg[now], end = _group_backward(
            do[now], end, q[now], k[now], v[now], g[now], begins[now]
        )
    grads = _join(dq, like_k), _join(dk, like_k), _join(dv, like_v), _join(dg, like_k)
    return (*grads, end.reshape(dS.shape).clone())


def _group_backward(
    do: Tensor, end: Tensor, q: Tensor, k: Tensor, v: Tensor, g: Tensor, begins: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The forward pass of a run of chunks read backwards, sums of gates included; `end`: gradient of the state after them."""
    levels, since, until = _levels(q, k, g)
    total = since[..., -1, :].exp()
    since.exp_()
    until.exp_()
    q_in = q * since
    ends = end.new_empty(
        len(v) + 1, *end.shape
    )  # backwards in time: of the state after the last chunk, …, before the first
    ends[0] = end
    _states(ends, (q_in.mT @ do).flip(0), total.flip(0))
    after = ends[:-1].flip(0)
    dq_in, dk_out = do @ begins.mT, v @ after.mT
    dv = (k * until) @ after + _scores(q, k, levels).mT @ do
    dscores = do @ v.mT
    own = dscores.diagonal(dim1=-2, dim2=-1)[..., None]
    dq, dk = own * k + dq_in * since, own * q + dk_out * until
    dsince, duntil = dq_in * q_in, dk_out * k * until
    dsince[..., -1, :] += total * (begins * after).sum(-1)
    for level in reversed(levels):
        _level_backward(level, _blocks(dscores, level.size), dq, dk, dsince, duntil)
    return dq, dk, dv, dsince, ends[-1]


def _level_backward(level: _Level, dscores: Tensor, dq: Tensor, dk: Tensor, dsince: Tensor, duntil: Tensor) -> None:
    """Add one level's gradients, and undo its joining of the running sums."""
    size = level.size
    (dsince_left, dsince_right), (duntil_left, _) = _halves(dsince, size), _halves(duntil, size)
    dsince_left[..., -1, :] += dsince_right.sum(-2)
    dsince_right[..., -1, :] += duntil_left.sum(-2)
    dq_level, dk_level = dscores @ level.k, dscores.mT @ level.q
    _halves(dq, size)[1].addcmul_(dq_level, level.q_decay)
    _halves(dk, size)[0].addcmul_(dk_level, level.k_decay)
    dsince_right.addcmul_(dq_level, level.q)
    duntil_left.addcmul_(dk_level, level.k)


def _fake_backward(
    do: Tensor, dS: Tensor, q: Tensor, k: Tensor, v: Tensor, g: Tensor, begins: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    dq, dk, dv, dg, first = (x.new_empty(x.shape) for x in (q, k, v, g, dS))
    return dq, dk, dv, dg, first


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:4], output[2])


def _gradients(ctx: Any, do: Tensor, dS: Tensor, _: Tensor) -> tuple[Tensor, ...]:
    return _chunked_backward(do.contiguous(), dS.contiguous(), *ctx.saved_tensors)


complete(chunked, fake=_fake, save=_save, gradients=_gradients)
complete(_chunked_backward, fake=_fake_backward)
