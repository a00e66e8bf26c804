"""The chunked form of `linear_attend` at one rate a head, as an operator with a backward written by hand.

State-space duality (Dao and Gu, arXiv 2405.21060, section 6): a rate scales what a head reads and writes as a whole, so it acts on values
and outputs, and r heads that share queries and keys, as a group of Mamba-2 does, share their products. With G, since = exp(G) and
until = exp(G_C − G) of each head inside a chunk of C tokens, and ⊙ over the heads of one group side by side:

    o = (q kᵀ ⊙ between) v + since ⊙ (q S),      S' = keep ⊙ S + kᵀ (until ⊙ v)

The gradient of the gates needs no pass of its own: o_i is in proportion to exp(G_i), what v_j writes to exp(−G_j), and S' to exp(G_C), so
dG_i = o_i · do_i − v_i · dv_i, and the last one also gets S' · dS'; g_i is in every G from i to the chunk's end.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sequary.ops.chunks import chunk_size, cut, groups, join, product, starts_of, states
from sequary.ops.decays import SHUT
from sequary.ops.operator import asked, complete

CHUNK = 64
HELD = 64
"""Chunks of single heads whose temporary tensors, [C, C] each, are held together."""


Into = tuple[Tensor, Tensor, Tensor]


class Rates:
    """Of log gates g [N, B·G, r, C]: since, until [N, B·G, r, C, 1], keep [N, B·G, 1, r, 1], between [N, B·G, r, C, C]."""

    def __init__(self, g: Tensor) -> None:
        G = g.double().clamp(min=SHUT).cumsum(-1)
        self.since = G.exp().to(g.dtype)[..., None]
        self.until = (G[..., -1:] - G).exp().to(g.dtype)[..., None]
        self.keep = self.since[..., -1:, :].transpose(-3, -2)
        self.between = (G[..., :, None] - G[..., None, :]).to(g.dtype).exp_().tril_()


def apart(x: Tensor, heads: int) -> Tensor:
    """[..., r·V] -> [..., r, V], a view."""
    return x.view(*x.shape[:-1], heads, x.shape[-1] // heads)


def of_group(x: Tensor, heads: int) -> Tensor:
    """[N, B·G·r, C, V] -> [N, B·G, r, C, V], a view."""
    return x.view(len(x), x.shape[1] // heads, heads, *x.shape[2:])


def by_head(x: Tensor, heads: int) -> Tensor:
    """[..., C, r·V] -> [..., r, C, V], a view."""
    return apart(x, heads).transpose(-3, -2)


def beside(x: Tensor, scale: Tensor) -> Tensor:
    """[..., r, C, V], each scaled, -> [..., C, r·V], the heads of a group side by side."""
    *batch, heads, size, width = x.shape
    made = x.new_empty(*batch, size, heads, width)
    torch.mul(x, scale, out=made.transpose(-3, -2))
    return made.flatten(-2)


@torch.library.custom_op("sequary::linear_attend_headwise", mutates_args=())
def headwise(q: Tensor, k: Tensor, v: Tensor, g: Tensor, S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """q, k [B, T, G, K], v [B, T, G·r, V], g [B, T, G·r, 1], S [B, G·r, K, V] -> (o, last state, states [N + 1, B·G, K, r·V] at the
    chunks' starts and after the last)."""
    shared, size, like = q.shape[2], chunk_size(q.shape[1], CHUNK), v
    heads = v.shape[2] // shared
    q, k, v, g = (cut(x, size) for x in (q, k, v, g))
    out, begins = torch.empty_like(v), S.new_empty(len(v) + 1, k.shape[1], q.shape[-1], heads * v.shape[-1])
    begins[0] = inward(S, shared)
    for now in groups(len(v), HELD // max(v.shape[1], 1)):
        v_h, out_h, g_h = (of_group(x[now], heads) for x in (v, out, g))
        rate, passed = Rates(g_h[..., 0]), apart(begins[now.start : now.stop + 1], heads)
        states(passed, apart(k[now].mT @ beside(v_h, rate.until), heads), rate.keep)
        pairs = rate.between.mul_((q[now] @ k[now].mT)[:, :, None])
        product(pairs.flatten(1, 2), v[now], out[now])
        out_h.addcmul_(by_head(q[now] @ begins[now], heads), rate.since)
    return join(out, like), outward(begins[-1], S), begins


def inward(S_BHKV: Tensor, shared: int) -> Tensor:
    """[B·G, K, r·V]: states of one group's heads side by side."""
    return (
        S_BHKV.reshape(len(S_BHKV), shared, S_BHKV.shape[1] // shared, *S_BHKV.shape[2:])
        .transpose(2, 3)
        .flatten(-2)
        .flatten(0, 1)
    )


def outward(S: Tensor, like_BHKV: Tensor) -> Tensor:
    """Back to [B, G·r, K, V], in memory of its own."""
    found = apart(S, S.shape[-1] // like_BHKV.shape[-1]).transpose(1, 2)
    return torch.empty_like(like_BHKV).copy_(found.reshape(like_BHKV.shape))


def _fake(q: Tensor, k: Tensor, v: Tensor, g: Tensor, S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    width = v.shape[2] * v.shape[3] // q.shape[2]
    begins = S.new_empty(starts_of(q.shape[1], CHUNK), q.shape[0] * q.shape[2], q.shape[3], width)
    return v.new_empty(v.shape), S.new_empty(S.shape), begins


@torch.library.custom_op("sequary::linear_attend_headwise_backward", mutates_args=())
def _backward(
    do: Tensor, dS: Tensor, q: Tensor, k: Tensor, v: Tensor, g: Tensor, o: Tensor, begins: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, k, v, g and the first state."""
    shared, size, like_k, like_v, like_g = q.shape[2], chunk_size(q.shape[1], CHUNK), q, v, g
    heads = v.shape[2] // shared
    grown = (do * o).sum(-1, keepdim=True)
    q, k, v, g, do = (cut(x, size) for x in (q, k, v, g, do))
    dq, dk, dv, ends = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v), torch.empty_like(g[:, :, 0, 0])
    end = inward(dS, shared)
    for now in reversed(groups(len(v), HELD // max(v.shape[1], 1))):
        do_h, v_h, g_h, dv_h = (of_group(x[now], heads) for x in (do, v, g, dv))
        into = dq[now], dk[now], dv_h
        end, after = _group(do_h, end, q[now], k[now], v_h, Rates(g_h[..., 0]), begins[now], into)
        ends[now] = apart(begins[now.start + 1 : now.stop + 1] * after, heads).sum((-3, -1)).flatten(1)
    dvalues = join(dv, like_v)
    grown = cut(grown - (like_v * dvalues).sum(-1, keepdim=True), size)
    grown[:, :, -1, 0] += ends
    dg = join(grown.flip(-2).cumsum(-2).flip(-2), like_g)
    return join(dq, like_k), join(dk, like_k), dvalues, dg, outward(end, dS)


def _group(
    do: Tensor, end: Tensor, q: Tensor, k: Tensor, v: Tensor, rate: Rates, begins: Tensor, into: Into
) -> tuple[Tensor, Tensor]:
    """Fill dq, dk and dv; (gradient of the state before these chunks, of the states after each); `end`: of that after them all."""
    heads = do.shape[2]
    read = beside(do, rate.since)
    dstates = end.new_empty(len(v) + 1, *end.shape)  # backwards in time: of the state after the last chunk first
    dstates[0] = end
    added = apart((q.mT @ read).flip(0), heads)
    states(apart(dstates, heads), added, rate.keep.flip(0))
    after = dstates[:-1].flip(0)
    dscores = (do @ v.mT).mul_(rate.between).sum(2)
    dq, dk, dv = into
    product(dscores, k, dq)
    product(read, begins.mT, dq, add=True)
    product(dscores.mT, q, dk)
    product(beside(v, rate.until), after.mT, dk, add=True)
    pairs = rate.between.mul_((q @ k.mT)[:, :, None])
    product(pairs.mT.flatten(1, 2), do.flatten(1, 2), dv.flatten(1, 2))
    dv.addcmul_(by_head(k @ after, heads), rate.until)
    return dstates[-1], after


def _fake_backward(
    do: Tensor, dS: Tensor, q: Tensor, k: Tensor, v: Tensor, g: Tensor, o: Tensor, begins: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    dq, dk, dv, dg, first = (x.new_empty(x.shape) for x in (q, k, v, g, dS))
    return dq, dk, dv, dg, first


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:4], output[0], output[2])
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, do: Tensor | None, dS: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    q, k, v, g, o, begins = ctx.saved_tensors
    rows, _, heads, width = v.shape
    return _backward(asked(do, v), asked(dS, v, rows, heads, q.shape[-1], width), q, k, v, g, o, begins)


complete(headwise, fake=_fake, save=_save, gradients=_gradients)
complete(_backward, fake=_fake_backward)
