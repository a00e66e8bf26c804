"""The recurrence of a softmax over prefixes against that softmax, written out."""

from __future__ import annotations

import pytest
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


def test_a_long_mean_moves_on_in_half_precision() -> None:
    """Read token by token: one of 1,000 values moves a mean of them by less than bfloat16 can tell."""
    a, v = (
        drawn(1, 1000, 2).bfloat16(),
        (drawn(1, 1000, 2, 3, seed=1) + torch.linspace(0, 4, 1000)[:, None, None]).bfloat16(),
    )
    o, state = v, Prefix.empty(1, 2, 3, v)
    with torch.no_grad():
        for t in range(1000):
            o, _, state = prefix_softmax(a[:, t : t + 1], v[:, t : t + 1], state)
    assert o.dtype == torch.bfloat16
    torch.testing.assert_close(o[:, 0].double(), plain(a.double(), v.double())[:, -1], rtol=0.01, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_state_holds_no_more_than_it_says(dtype: torch.dtype) -> None:
    a, v = drawn(1, 64, 2).to(dtype), drawn(1, 64, 2, 3, seed=1).to(dtype)
    _, _, state = prefix_softmax(a, v, Prefix.empty(1, 2, 3, v))
    assert state.z.untyped_storage().nbytes() + state.o.untyped_storage().nbytes() == state.bytes()
