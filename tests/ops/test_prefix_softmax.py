"""The recurrence of a softmax over prefixes against that softmax, written out."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.ops.prefix_softmax import Prefix, prefix_softmax


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain(a: Tensor, v: Tensor, first: int = 0) -> Tensor:
    """The mean over first..t at each t."""
    rows = [a[:, first : t + 1].softmax(1)[..., None] * v[:, first : t + 1] for t in range(first, a.shape[1])]
    return torch.stack([row.sum(1) for row in rows], 1)


def test_far_logits_neither_overflow_nor_vanish() -> None:
    """exp(±80 · 30) is no number of float64; rising logits shift the maximum at every token, falling ones never."""
    v = drawn(2, 9, 3, 4, seed=1)
    for a in (
        80 * drawn(2, 9, 3),
        2400 * drawn(2, 9, 3),
        torch.linspace(-900, 900, 9).double()[None, :, None].expand(2, 9, 3),
    ):
        for logits in (a, a.flip(1)):
            o, z, _ = prefix_softmax(logits, v, Prefix.empty(2, 3, 4, v))
            torch.testing.assert_close(o, plain(logits, v))
            torch.testing.assert_close(z, logits.logcumsumexp(1))


def test_a_segment_forgets_what_came_before() -> None:
    a, v = 50 * drawn(2, 9, 3), drawn(2, 9, 3, 4, seed=1)
    a[:, 2] = 5000.0  # the greatest of all lies in the first segment
    starts = (torch.arange(9) == 4).expand(2, -1)
    o, _, _ = prefix_softmax(a, v, Prefix.empty(2, 3, 4, v), starts_BT=starts)
    torch.testing.assert_close(o[:, 4:], plain(a, v, first=4))


def test_the_state_carries_its_gradient() -> None:
    """Through a cut of the sequence as without one."""
    a, v = drawn(1, 6, 2).requires_grad_(), drawn(1, 6, 2, 3, seed=1).requires_grad_()
    begin = Prefix.empty(1, 2, 3, v.detach())
    first, _, state = prefix_softmax(a[:, :3], v[:, :3], begin)
    last, _, _ = prefix_softmax(a[:, 3:], v[:, 3:], state)
    cut = torch.autograd.grad(torch.cat((first, last), 1).square().sum(), (a, v))
    whole = torch.autograd.grad(prefix_softmax(a, v, begin)[0].square().sum(), (a, v))
    torch.testing.assert_close(cut, whole)
