"""ATLAS: the rule as loops, what it is with a window of one, its derivatives, orthogonal steps, polynomial features."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.mixers.linear.atlas import Powers
from sequary.ops.delta_rule import delta_rule
from sequary.ops.forms import form
from sequary.ops.omega import omega, orthogonalised


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


def case(window: int) -> list[Tensor]:
    """One row, one head, 6 tokens, 3 features, 2 values."""
    q, k, v = drawn(1, 6, 1, 3), drawn(1, 6, 1, window, 3), drawn(1, 6, 1, window, 2)
    rates, fresh = torch.rand(3, 1, 6, 1, dtype=torch.float64), torch.ones(1, 6, dtype=torch.float64)
    gamma = torch.rand(1, 6, 1, window, dtype=torch.float64)
    return [q, k, v, gamma, rates, fresh, drawn(1, 1, 3, 2), drawn(1, 1, 3, 2, seed=1)]


@pytest.mark.parametrize("rounds", [0, 5])
def test_is_gradient_descent_on_the_window(rounds: int) -> None:
    """With gradients that torch finds, and orthogonal steps by singular values."""
    torch.manual_seed(0)
    q, k, v, gamma, rates, fresh, memory, momentum = case(3)
    o, last, moved = omega(q, k, v, gamma, rates, fresh, memory, momentum, rounds)
    M, S = memory[0, 0], momentum[0, 0]
    for t in range(6):
        leaf = M.clone().requires_grad_()
        loss = sum(gamma[0, t, 0, j] * (leaf.mT @ k[0, t, 0, j] - v[0, t, 0, j]).square().sum() / 2 for j in range(3))
        assert isinstance(loss, Tensor)
        S = rates[2, 0, t, 0] * S + torch.autograd.grad(loss, leaf)[0]
        step = orthogonalised(S, rounds)
        M = rates[0, 0, t, 0] * M - rates[1, 0, t, 0] * step
        torch.testing.assert_close(o[0, t, 0], M.mT @ q[0, t, 0])
    torch.testing.assert_close(last[0, 0], M)
    torch.testing.assert_close(moved[0, 0], S)


def test_a_window_of_one_without_momentum_is_the_gated_delta_rule() -> None:
    torch.manual_seed(1)
    q, k, v, _, rates, fresh, memory, momentum = case(1)
    ones = torch.ones(1, 6, 1, 1, dtype=torch.float64)
    alpha, eta = rates[0], rates[1]
    still = torch.stack((alpha, alpha * eta, 0 * eta))  # the delta rule takes back from the decayed memory
    o, last, _ = omega(q, k, v / 1, ones, still, fresh, memory, momentum, 0)
    wide = eta[..., None]
    wanted, end = delta_rule(
        q, k[:, :, :, 0], alpha[..., None] * wide * v[:, :, :, 0], wide * k[:, :, :, 0], alpha.log()[..., None], memory
    )
    torch.testing.assert_close(o, wanted)
    torch.testing.assert_close(last, end)


def test_the_operator_has_the_derivatives_of_the_loop() -> None:
    torch.manual_seed(2)
    found: list[tuple[Tensor, ...]] = []
    tensors = case(2)
    for name in ("fused", "reference"):
        q, k, v, gamma, rates, fresh, memory, momentum = leaves = [t.clone().requires_grad_() for t in tensors]
        with form(name):
            o, last, moved = omega(q, k, v, gamma, rates, fresh, memory, momentum, 5)
        found.append(torch.autograd.grad(o.square().sum() + last.sum() + moved.sum(), leaves))
    for fast, slow in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow)


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (4, 4)])
def test_orthogonalised_keeps_singular_vectors(shape: tuple[int, int]) -> None:
    """Muon's quintic does not converge to 1: values of 0.01 and more come between 0.6 and 1.3."""
    left, _, right = torch.linalg.svd(drawn(*shape), full_matrices=False)
    values = torch.linspace(1.0, 0.05, min(shape), dtype=torch.float64)
    s = left @ values.diag() @ right
    u = left.mT @ orthogonalised(s, 5) @ right.mT
    assert float((u - u.diagonal().diag()).abs().max()) < 1e-10
    assert float(u.diagonal().min()) > 0.6
    assert float(u.diagonal().max()) < 1.3
    assert not orthogonalised(0 * s, 5).any()


@pytest.mark.parametrize(("dim", "degree"), [(4, 1), (4, 2), (3, 3)])
def test_products_of_features_are_polynomials_of_products(dim: int, degree: int) -> None:
    powers, q, k = Powers(dim, degree=degree).double(), drawn(5, dim), drawn(5, dim, seed=3)
    assert powers(q).shape == (5, powers.width)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        s = (a * b).sum(-1)
        terms = [share**2 * s ** (n + 1) for n, share in enumerate(powers.share)]
        return torch.stack(terms).sum(0)

    wanted = kernel(q, k) / (kernel(q, q) * kernel(k, k)).sqrt()
    torch.testing.assert_close((powers(q) * powers(k)).sum(-1), wanted, atol=1e-5, rtol=0)
