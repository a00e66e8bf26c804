"""How a recurrent state forgets inside chunks: not at all, at one rate a head, or at a rate for each key entry.

Log gates g <= 0 [N, B·H, C, 1 or K], minus infinity included. With G_i = g_1 + … + g_i inside a chunk, all that a chunked op needs:

    enter(x)_i = exp(G_i) x_i                     what reads the state that the chunk starts from
    leave(x)_j = exp(G_C − G_j) x_j               what is still there at the chunk's end
    keep       = exp(G_C)
    scores(q, k)_ij = Σ_K q_i exp(G_i − G_j) k_j  for j <= i, else 0

No exponent is ever above 0, so that gates which close (exp(−1e4) is 0) overflow nothing.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from sequary.ops.chunks import product

SHUT = -1e4
"""Below any log gate that float64 could tell from a closed one."""


class Decay(Protocol):
    @property
    def keep(self) -> Tensor | None:
        """[N, B·H, 1 or K, 1]; None: all is kept."""
        ...

    def enter(self, x: Tensor) -> Tensor: ...

    def leave(self, x: Tensor) -> Tensor: ...

    def scores(self, q: Tensor, k: Tensor) -> Tensor: ...

    def back(self, dscores: Tensor, q: Tensor, k: Tensor, dq: Tensor, dk: Tensor) -> None:
        """Fill dq and dk from the gradients of the scores (what lies above the diagonal is not read)."""
        ...


def decay_of(g: Tensor | None) -> Decay:
    if g is None:
        return NoDecay()
    return HeadDecay(g) if g.shape[-1] == 1 else KeyDecay(g)


def rate_gradient(like: Tensor, grown: Tensor, end: Tensor) -> Tensor:
    """Gradient of g [N, B·H, C, 1 or K] as `like` is wide.

    `grown` [N, B·H, C, K] sums x ⊙ dx over all that grows with G_i, less what shrinks; `end` [N, B·H, K] is Σ_V S ⊙ dS after the chunk.
    """
    if like.shape[-1] == 1:
        grown, end = grown.sum(-1, keepdim=True), end.sum(-1, keepdim=True)
    grown[..., -1, :] += end
    return grown.flip(-2).cumsum(-2).flip(-2)


class NoDecay:
    keep = None

    def enter(self, x: Tensor) -> Tensor:
        return x

    def leave(self, x: Tensor) -> Tensor:
        return x

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        return (q @ k.mT).tril_()

    def back(self, dscores: Tensor, q: Tensor, k: Tensor, dq: Tensor, dk: Tensor) -> None:
        dscores = dscores.tril()
        product(dscores, k, dq)
        product(dscores.mT, q, dk)


class HeadDecay:
    """One rate for all of a head's entries: differences of running sums, in float64."""

    def __init__(self, g: Tensor) -> None:
        G = g.double().clamp(min=SHUT).cumsum(-2)
        self.since, self.until = G.exp().to(g.dtype), (G[..., -1:, :] - G).exp().to(g.dtype)
        self.keep = self.since[..., -1:, :]
        self.between = (G - G.mT).to(g.dtype).clamp(max=0).exp_().tril_()

    def enter(self, x: Tensor) -> Tensor:
        return x * self.since

    def leave(self, x: Tensor) -> Tensor:
        return x * self.until

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        return (q @ k.mT).mul_(self.between)

    def back(self, dscores: Tensor, q: Tensor, k: Tensor, dq: Tensor, dk: Tensor) -> None:
        dscores = dscores * self.between
        product(dscores, k, dq)
        product(dscores.mT, q, dk)


class KeyDecay:
    """A rate for each key entry: a chunk is halved again and again.

    The textbook form, (q exp G)(k exp −G)ᵀ, overflows when gates close. Here pairs (query in a right half, key in its left half)
    decay by exp(from the border to the query) · exp(from the key to the border): both are sums of log gates that start at the border,
    and nothing is ever subtracted.
    """

    def __init__(self, g: Tensor) -> None:
        since, until = g.clone(), torch.zeros_like(g)
        self.levels: list[tuple[int, Tensor, Tensor]] = []
        size = 1
        while size < g.shape[-2]:
            (since_left, since_right), (until_left, _) = _halves(since, size), _halves(until, size)
            self.levels.append((size, since_right.exp(), until_left.exp()))
            until_left += since_right[..., -1:, :]
            since_right += since_left[..., -1:, :]
            size *= 2
        self.since, self.until = since.exp_(), until.exp_()
        self.keep = self.since[..., -1, :, None]

    def enter(self, x: Tensor) -> Tensor:
        return x * self.since

    def leave(self, x: Tensor) -> Tensor:
        return x * self.until

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        scores = q.new_zeros(*q.shape[:-1], q.shape[-2])
        scores.diagonal(dim1=-2, dim2=-1).copy_((q * k).sum(-1))
        for size, q_decay, k_decay in self.levels:
            right, left = _halves(q, size)[1] * q_decay, _halves(k, size)[0] * k_decay
            _blocks(scores, size).copy_(right @ left.mT)
        return scores

    def back(self, dscores: Tensor, q: Tensor, k: Tensor, dq: Tensor, dk: Tensor) -> None:
        own = dscores.diagonal(dim1=-2, dim2=-1)[..., None]
        torch.mul(own, k, out=dq)
        torch.mul(own, q, out=dk)
        for size, q_decay, k_decay in self.levels:
            dblock = _blocks(dscores, size)
            right, left = _halves(q, size)[1] * q_decay, _halves(k, size)[0] * k_decay
            _halves(dq, size)[1].addcmul_(dblock @ left, q_decay)
            _halves(dk, size)[0].addcmul_(dblock.mT @ right, k_decay)


def _halves(x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Views of the left and right halves of the blocks of 2·size tokens."""
    left, right = x.view(*x.shape[:-2], x.shape[-2] // (2 * size), 2, size, x.shape[-1]).unbind(-3)
    return left, right


def _blocks(scores: Tensor, size: int) -> Tensor:
    """View [..., C/2size, size, size]: the (right, left) blocks of one level on the diagonal."""
    count = scores.shape[-1] // (2 * size)
    blocks = scores.view(*scores.shape[:-2], count, 2, size, count, 2, size)[..., :, 1, :, :, 0, :]
    return blocks.diagonal(dim1=-4, dim2=-2).movedim(-1, -3)
