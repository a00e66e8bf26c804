"""Attention to a fixed point: its first round, its rest, its rounds by row, and its gradient through a plain loop."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.core.ctx import Ctx, Tape
from sequary.mixers.attention.fixed_point import FixedPointAttention


def plain(mixer: FixedPointAttention, x_TD: Tensor, z_TD: Tensor) -> Tensor:
    """softmax(Q(x + z) K(x + z)ᵀ / √K) V(x), head by head."""
    h, width = x_TD + z_TD, x_TD.shape[1] // mixer.heads
    found: list[Tensor] = []
    for head in range(mixer.heads):
        at = slice(head * width, (head + 1) * width)
        q, k, v = (y @ m.weight[at].mT for y, m in ((h, mixer.q), (h, mixer.k), (x_TD, mixer.v)))
        found.append((q @ k.mT / width**0.5).softmax(-1) @ v)
    return torch.cat(found, -1)


def made(*, most: int = 200, eps: float = 1e-13) -> FixedPointAttention:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mixer = FixedPointAttention(8, heads=2, eps=eps, most=most).double()
    with torch.no_grad():
        mixer.q.weight *= 3
    return mixer


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_one_round_is_attention_and_the_last_moves_nothing() -> None:
    x = drawn(1, 6, 8)
    torch.testing.assert_close(made(most=1)(x)[0], made().o(plain(made(), x[0], torch.zeros_like(x[0]))))
    mixer = made()
    z = (mixer(x) @ torch.linalg.inv(mixer.o.weight).mT)[0]
    torch.testing.assert_close(plain(mixer, x[0], z), z, rtol=0, atol=1e-10)
    assert float((z - z.mean(0)).abs().max()) > 1e-3  # and tokens are not all alike there


def test_the_gradient_is_that_of_many_rounds() -> None:
    mixer, x = made(), drawn(1, 6, 8).requires_grad_()
    z = torch.zeros_like(x[0])
    for _ in range(100):
        z = plain(mixer, x[0], z)
    told = torch.autograd.grad(mixer.o(z).square().sum(), (x, *mixer.parameters()))
    ours = torch.autograd.grad(mixer(x).square().sum(), (x, *mixer.parameters()))
    for a, b in zip(ours, told, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


def test_each_row_has_its_own_rounds() -> None:
    mixer, x = made(eps=1e-6), drawn(2, 6, 8)
    x[1] *= 0.05  # next to equal tokens: attention hardly depends on what it reads
    tape = Tape("rounds")
    mixer(x, Ctx(tape=tape))
    (rounds,) = tape.entries["rounds"]
    assert (rounds == rounds[:, :1]).all()
    assert rounds[1, 0] < rounds[0, 0]
