"""Linear attention whose state forgets at a rate of its own in each key dimension (gated linear attention).

    S_t = diag(exp(g_t)) S_{t-1} + k_t v_tᵀ          S [B, H, K, V], g <= 0 (minus infinity drops the state)
    o_t = S_tᵀ q_t

Yang et al., Gated Linear Attention Transformers (arXiv 2312.06635), sections 4.1 and 4.2.

Two forms: `reference`, a plain loop (any derivative), and `chunked`. The textbook chunk, (q exp G)(k exp −G)ᵀ with running sums G,
overflows when gates close. Here each chunk is halved again and again; pairs (query in a right half, key in its left half)
decay by exp(from the border to the query) · exp(from the key to the border). Both exponents are sums of log-gates that start
at the border, so they are <= 0 and nothing is ever subtracted: exact for any gate, closed ones included.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.forms import chosen
from sequary.ops.operator import complete

CHUNK = 64


def vector_decay(
    q_BTHK: Tensor, k_BTHK: Tensor, v_BTHV: Tensor, g_BTHK: Tensor, S_BHKV: Tensor
) -> tuple[Tensor, Tensor]:
    """(o [B, T, H, V], state after the last token [B, H, K, V]). T >= 1. Half-precision inputs are computed in float32."""
    if chosen("chunked") == "reference":
        return _reference(q_BTHK, k_BTHK, v_BTHV, g_BTHK, S_BHKV)
    wide = torch.float64 if v_BTHV.dtype == torch.float64 else torch.float32
    o_BTHV, last_BHKV, _ = _chunked(*(x.to(wide) for x in (q_BTHK, k_BTHK, v_BTHV, g_BTHK, S_BHKV)))
    return o_BTHV.to(v_BTHV.dtype), last_BHKV.to(S_BHKV.dtype)


def _reference(q_BTHK: Tensor, k_BTHK: Tensor, v_BTHV: Tensor, g_BTHK: Tensor, S_BHKV: Tensor) -> tuple[Tensor, Tensor]:
    state, outputs = S_BHKV, list[Tensor]()
    for q_BHK, k_BHK, v_BHV, g_BHK in zip(
        q_BTHK.unbind(1), k_BTHK.unbind(1), v_BTHV.unbind(1), g_BTHK.unbind(1), strict=True
    ):
        state = g_BHK.exp()[..., None] * state + k_BHK[..., None] * v_BHV[..., None, :]
        outputs.append((q_BHK[..., None] * state).sum(-2))
    return torch.stack(outputs, 1), state


# Inside the operators: [N, B·H, C, K], N chunks of C = a power of two tokens, the last one filled up with zeros.


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
def _chunked(q: Tensor, k: Tensor, v: Tensor, g: Tensor, S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(o, last state, states at the chunks' starts and after the last: a number that is never 1, which tracing would fix)."""
    size, like = _chunk_size(q.shape[1]), v
    q, k, v, g = (_cut(x, size) for x in (q, k, v, g))
    levels, since, until = _levels(q, k, g)
    out = _scores(q, k, levels) @ v
    begins = _states(S.flatten(0, 1), (k * until.exp_()).mT @ v, since[..., -1, :].exp())
    last = begins[-1].view(S.shape).clone()
    out += (q * since.exp_()) @ begins[:-1]
    return _join(out, like), last, begins


def _states(S: Tensor, added: Tensor, decay: Tensor) -> Tensor:
    """[N + 1, B·H, K, V]: the state at each chunk's start, and after the last."""
    states = S.new_empty(len(added) + 1, *S.shape)
    states[0] = S
    for n, (new, by) in enumerate(zip(added, decay[..., None], strict=True)):
        torch.addcmul(new, by, states[n], out=states[n + 1])
    return states


def _fake(q: Tensor, k: Tensor, v: Tensor, g: Tensor, S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    chunks = (q.shape[1] + CHUNK - 1) // CHUNK + 1
    return v.new_empty(v.shape), S.new_empty(S.shape), S.new_empty(chunks, S.shape[0] * S.shape[1], *S.shape[2:])


@torch.library.custom_op("sequary::vector_decay_backward", mutates_args=())
def _chunked_backward(
    do: Tensor, dS: Tensor, q: Tensor, k: Tensor, v: Tensor, g: Tensor, begins: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, k, v, g and the first state: the forward pass read backwards, sums of gates included."""
    size, like_k, like_v, like_S = _chunk_size(q.shape[1]), q, v, dS
    q, k, v, g, do = (_cut(x, size) for x in (q, k, v, g, do))
    levels, since, until = _levels(q, k, g)
    begins = begins[:-1]
    total = since[..., -1, :].exp()
    since.exp_()
    until.exp_()
    q_in = q * since
    ends = _states(dS.flatten(0, 1), (q_in.mT @ do).flip(0), total.flip(0)).flip(0)  # ends[n + 1]: of the state after n
    dq_in, dk_out = do @ begins.mT, v @ ends[1:].mT
    dv = (k * until) @ ends[1:] + _scores(q, k, levels).mT @ do
    dscores = do @ v.mT
    own = dscores.diagonal(dim1=-2, dim2=-1)[..., None]
    dq, dk = own * k + dq_in * since, own * q + dk_out * until
    dsince, duntil = dq_in * q_in, dk_out * k * until
    dsince[..., -1, :] += total * (begins * ends[1:]).sum(-1)
    for level in reversed(levels):
        _level_backward(level, _blocks(dscores, level.size), dq, dk, dsince, duntil)
    grads = _join(dq, like_k), _join(dk, like_k), _join(dv, like_v), _join(dsince, like_k)
    return (*grads, ends[0].reshape(like_S.shape).clone())


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


complete(_chunked, fake=_fake, save=_save, gradients=_gradients)
complete(_chunked_backward, fake=_fake_backward)
