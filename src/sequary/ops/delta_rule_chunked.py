"""The chunked form of `delta_rule`, as an operator with a backward written by hand.

What a chunk of C tokens writes, u [C, V], solves a triangular system: token i takes back what the chunk's earlier tokens wrote,

    (I + A) u = v − enter(e) S,   A_ij = scores(e, k)_ij for j < i
    o = scores(q, k) u + enter(q) S,      S' = keep S + leave(k)ᵀ u

with ops/decays.py. W = (I + A)⁻¹ by substitution (a power series overflows with nearly parallel keys), once a chunk and for all chunks at
once; then two products a chunk pass the state on. The backward runs the same with Wᵀ. Gates: dG_i = q_i ⊙ dq_i + e_i ⊙ de_i − k_i ⊙ dk_i.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from sequary.ops.chunks import chunk_size, cut, groups, join, product, starts_of
from sequary.ops.decays import Decay, decay_of, rate_gradient
from sequary.ops.operator import asked, complete

CHUNK = 64

linalg: Any = torch.linalg  # torch has no types for it


Into = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclasses.dataclass(frozen=True, slots=True)
class _Chunks:
    """A run of chunks, [N, B·H, C, ·]."""

    q: Tensor
    k: Tensor
    v: Tensor
    e: Tensor
    decay: Decay
    solve: Tensor
    """W [N, B·H, C, C]."""

    @staticmethod
    def of(q: Tensor, k: Tensor, v: Tensor, e: Tensor, g: Tensor | None) -> _Chunks:
        decay = decay_of(g)
        eye = torch.eye(q.shape[-2], dtype=q.dtype, device=q.device)
        # Only what lies below the diagonal is read: the diagonal counts as ones.
        solve: Tensor = linalg.solve_triangular(
            decay.scores(e, k), eye.expand(*q.shape[:-2], -1, -1), upper=False, unitriangular=True
        )
        return _Chunks(q, k, v, e, decay, solve)

    def written(self, begins: Tensor) -> Tensor:
        """u, given the states at the chunks' starts."""
        return self.solve @ (self.v - self.decay.enter(self.e) @ begins)

    def pass_on(self, begins: Tensor) -> Tensor:
        """Fill begins[1:] [N + 1, B·H, K, V] from begins[0]; returns u."""
        written, reads, leaves = self.solve @ self.v, self.solve @ self.decay.enter(self.e), self.decay.leave(self.k)
        for n, state in enumerate(begins[:-1]):
            torch.baddbmm(written[n], reads[n], state, alpha=-1, out=written[n])
            kept = state if self.decay.keep is None else self.decay.keep[n] * state
            torch.baddbmm(kept, leaves[n].mT, written[n], out=begins[n + 1])
        return written


@torch.library.custom_op("sequary::delta_rule", mutates_args=())
def chunked(q: Tensor, k: Tensor, v: Tensor, e: Tensor, g: Tensor | None, S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(o, last state, states at the chunks' starts and after the last)."""
    size, like = chunk_size(q.shape[1], CHUNK), v
    q, k, v, e = (cut(x, size) for x in (q, k, v, e))
    rates = None if g is None else cut(g, size)
    out, begins = torch.empty_like(v), S.new_empty(len(v) + 1, *S.flatten(0, 1).shape)
    begins[0] = S.flatten(0, 1)
    for now in groups(len(v)):
        run = _Chunks.of(q[now], k[now], v[now], e[now], None if rates is None else rates[now])
        written = run.pass_on(begins[now.start : now.stop + 1])
        product(run.decay.scores(q[now], k[now]), written, out[now])
        product(run.decay.enter(q[now]), begins[now], out[now], add=True)
    return join(out, like), begins[-1].view(S.shape).clone(), begins


def _fake(q: Tensor, k: Tensor, v: Tensor, e: Tensor, g: Tensor | None, S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    begins = S.new_empty(starts_of(q.shape[1], CHUNK), S.shape[0] * S.shape[1], *S.shape[2:])
    return v.new_empty(v.shape), S.new_empty(S.shape), begins


@torch.library.custom_op("sequary::delta_rule_backward", mutates_args=())
def _backward(
    do: Tensor, dS: Tensor, q: Tensor, k: Tensor, v: Tensor, e: Tensor, g: Tensor | None, begins: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, k, v, e, g (empty without one) and the first state."""
    size, like_k, like_v = chunk_size(q.shape[1], CHUNK), q, v
    q, k, v, e, do = (cut(x, size) for x in (q, k, v, e, do))
    rates = None if g is None else cut(g, size)
    dq, dk, dv, de = (torch.empty_like(x) for x in (q, k, v, e))
    dg = None if rates is None else torch.empty_like(rates)
    end = dS.flatten(0, 1)
    for now in reversed(groups(len(v))):
        here = None if rates is None else rates[now]
        run = _Chunks.of(q[now], k[now], v[now], e[now], here)
        end, last = _group(run, do[now], end, begins[now], (dq[now], dk[now], dv[now], de[now]))
        if dg is not None and here is not None:
            grown = q[now] * dq[now] + e[now] * de[now] - k[now] * dk[now]
            dg[now] = rate_gradient(here, grown, (begins[now.start + 1 : now.stop + 1] * last).sum(-1))
    found = q.new_empty(0) if dg is None or g is None else join(dg, g)
    dq, dk, de = (join(x, like_k) for x in (dq, dk, de))
    return dq, dk, join(dv, like_v), de, found, end.reshape(dS.shape).clone()


def _group(run: _Chunks, do: Tensor, end: Tensor, begins: Tensor, into: Into) -> tuple[Tensor, Tensor]:
    """Fill dq, dk, dv and de; (gradient of the state before these chunks, of the states after each); `end`: of that after them all."""
    decay, written = run.decay, run.written(begins)
    q_in, e_in, k_out = decay.enter(run.q), decay.enter(run.e), decay.leave(run.k)
    scores = decay.scores(run.q, run.k)
    dq, dk, dv, de = into
    product(run.solve.mT, scores.mT @ do, dv)
    back = run.solve.mT @ k_out
    dstates = torch.cat((q_in.mT @ do, end[None]))
    for n in reversed(range(len(do))):  # dstates[n + 1] is whole: of the state after chunk n
        torch.baddbmm(dv[n], back[n], dstates[n + 1], out=dv[n])
        dstates[n] += dstates[n + 1] if decay.keep is None else decay.keep[n] * dstates[n + 1]
        torch.baddbmm(dstates[n], e_in[n].mT, dv[n], alpha=-1, out=dstates[n])
    after = dstates[1:]
    taken = torch.empty_like(dk)
    decay.back(do @ written.mT, run.q, run.k, dq, dk)
    decay.back((dv @ written.mT).neg_().tril_(-1), run.e, run.k, de, taken)
    dq += decay.enter(do @ begins.mT)
    de -= decay.enter(dv @ begins.mT)
    dk += taken.add_(decay.leave(written @ after.mT))
    return dstates[0], after


def _fake_backward(
    do: Tensor, dS: Tensor, q: Tensor, k: Tensor, v: Tensor, e: Tensor, g: Tensor | None, begins: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    dq, dk, dv, de, first = (x.new_empty(x.shape) for x in (q, k, v, e, dS))
    return dq, dk, dv, de, q.new_empty(0) if g is None else g.new_empty(g.shape), first


def _save(
    ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor], output: tuple[Tensor, ...]
) -> None:
    ctx.save_for_backward(*inputs[:5], output[2])
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, do: Tensor | None, dS: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    q, k, v, e, g, begins = ctx.saved_tensors
    state = asked(dS, v, v.shape[0], v.shape[2], k.shape[3], v.shape[3])
    dq, dk, dv, de, dg, first = _backward(asked(do, v), state, q, k, v, e, g, begins)
    return dq, dk, dv, de, None if g is None else dg, first


complete(chunked, fake=_fake, save=_save, gradients=_gradients)
complete(_backward, fake=_fake_backward)
