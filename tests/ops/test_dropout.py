from __future__ import annotations

import pytest
import torch

from sequary.ops.dropout import Dropout

N = 400_000


def drawn(p: float, n: int = N, seed: int = 0) -> torch.Tensor:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return Dropout(p)(torch.ones(n, dtype=torch.float64))


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
def test_mean_and_variance(p: float) -> None:
    y = drawn(p)
    variance = p / (1 - p)
    assert set(y.unique().tolist()) == {0.0, y.max().item()}
    assert y.max().item() == pytest.approx(1 / (1 - p), rel=2**-15 / (1 - p))
    assert abs(y.mean().item() - 1) < 5 * (variance / N) ** 0.5
    assert y.var().item() == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 5, 8, 64])
def test_neighbours_are_independent(lag: int) -> None:
    """Four come from one word: they and words in a row must not know of each other."""
    y = drawn(0.3) - 1
    correlation = (y[lag:] * y[:-lag]).mean() / y.var()
    assert abs(correlation.item()) < 5 / N**0.5


@pytest.mark.parametrize("place", range(4))
def test_each_quarter_of_a_word_is_fair(place: int) -> None:
    """A random number that lacks its sign bit would never drop, or always, in one place of four."""
    kept = (drawn(0.3)[place::4] > 0).double().mean().item()
    assert abs(kept - 0.7) < 5 * (0.21 / (N / 4)) ** 0.5


def test_small_probabilities_are_met() -> None:
    rate = (drawn(1 / 4096, 2**22) == 0).double().mean().item()
    assert rate == pytest.approx(1 / 4096, rel=0.15)


def test_the_generator_is_torchs_own() -> None:
    assert torch.equal(drawn(0.3, 99, seed=1), drawn(0.3, 99, seed=1))
    assert not torch.equal(drawn(0.3, 99, seed=1), drawn(0.3, 99, seed=2))


def test_identity_in_evaluation_and_at_zero() -> None:
    x = torch.randn(5, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 3, 7), (0, 4)])
def test_shapes_types_and_gradients(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = torch.ones(shape, dtype=dtype, requires_grad=True)
    y = Dropout(0.5)(x)
    assert (y.shape, y.dtype) == (x.shape, dtype)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y.detach())  # x is 1 everywhere
    turned = torch.ones(4, 6, dtype=dtype).t()
    assert Dropout(0.5)(turned).shape == (6, 4)


def test_second_derivatives() -> None:
    x = torch.full((8,), 3.0, dtype=torch.float64, requires_grad=True)
    y = Dropout(0.5)(x).square().sum()
    (first,) = torch.autograd.grad(y, x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(second * 3, first)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5])
def test_no_probability(p: float) -> None:
    with pytest.raises(ValueError, match=f"p={p} is not a probability below 1"):
        Dropout(p)
