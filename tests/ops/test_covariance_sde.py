"""The drift of the covariance against the paper's sums, written as loops, and one step of a network against the equation."""

from __future__ import annotations

import math

import torch

from sequary.ops.covariance_sde import Shape, activation_drift, attention_drift, attention_noise, linear_noise, root

T = 3


def some_covariance() -> torch.Tensor:
    x = torch.randn(T, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x @ x.mT / 7


def test_the_drift_of_full_attention_is_the_theorem() -> None:
    """S1^{αδ,βω} = V^{αβ} (V^{δω} − V^{δx̄} − V^{ωx̄} + V^{x̄x̄}); S2^{αδ} = V^{αα} (V^{δδ} − 2 V^{δx̄} + 2 V^{x̄x̄} − mean V)."""
    v, tau = some_covariance(), 0.7
    to_mean, mean, size = v.mean(0), v.mean(), v.diagonal()
    told = torch.zeros(T, T, dtype=torch.float64)
    for a in range(T):
        for b in range(T):
            for n in range(T):
                second = {q: v[q, q] * (v[n, n] - 2 * to_mean[n] + 2 * mean - size.mean()) for q in (a, b)}
                told[a, b] += (v[b, n] * second[a] + v[a, n] * second[b]) / (2 * T)
                for k in range(T):
                    first = v[a, b] * (v[n, k] - to_mean[n] - to_mean[k] + mean)
                    told[a, b] += v[n, k] * first / T**2
    shares = torch.full((T, T), 1 / T, dtype=torch.float64)
    torch.testing.assert_close(attention_drift(v[None], shares, tau)[0], told / tau**2, rtol=1e-12, atol=0)


def test_the_drift_of_causal_attention_is_the_mean_of_its_expansion() -> None:
    """F = n^-½ F1 + n^-1 F2 of a softmax row over s <= t, with drawn logits: E[F1 V F1ᵀ + F2 V + V F2ᵀ]."""
    v, rng = some_covariance(), torch.Generator().manual_seed(1)
    shares = torch.ones(T, T, dtype=torch.float64).tril() / torch.arange(1, T + 1, dtype=torch.float64)[:, None]
    n = torch.randn(400_000, T, T, generator=rng, dtype=torch.float64)
    g = root(v[None]) @ n @ root(v[None]).mT
    one = shares * (g - (shares * g).sum(-1, keepdim=True))
    centred = (g - (shares * g).sum(-1, keepdim=True)).square()
    two = 0.5 * shares * (centred - (shares * centred).sum(-1, keepdim=True))
    drawn = (one @ v @ one.mT + two @ v + (two @ v).mT).mean(0)
    torch.testing.assert_close(attention_drift(v[None], shares, 1.0)[0], drawn, rtol=0, atol=0.03)


def test_noises_have_the_stated_variance() -> None:
    v, rng = some_covariance(), torch.Generator().manual_seed(2)
    many = v.expand(200_000, T, T)
    linear = linear_noise(many, rng)
    torch.testing.assert_close(linear[:, 0, 1].var(), v[0, 0] * v[1, 1] + v[0, 1] ** 2, rtol=0.03, atol=0)
    shares = torch.full((T, T), 1 / T, dtype=torch.float64)
    noise = attention_noise(many, shares, Shape(gain=1.0, temperature=2.0, heads=4, ratio=1.0, bend=0.0), rng)
    centre = v - v.mean(0) - v.mean(1, keepdim=True) + v.mean()
    own = 4 * v[0, 0] * (v[0] @ centre @ v[0]) / T**2 / (2.0**2 * 4)
    torch.testing.assert_close(noise[:, 0, 0].var(), own, rtol=0.03, atol=0)


def test_the_drift_of_the_activation_is_what_a_leaky_relu_does() -> None:
    """At a width of 400: (E[f(g) f(h)] − ρ) n by quadrature over the angle, f of unit mean square."""
    rho, width, bend = 0.3, 400.0, 2.0
    up, down = 1.0, 1 - bend / math.sqrt(width)
    relus = (math.sqrt(1 - rho**2) + rho * (math.pi - math.acos(rho))) / (2 * math.pi)
    kernel = (up * down * rho + (up - down) ** 2 * relus) / ((up**2 + down**2) / 2)
    v = torch.tensor([[[1.0, rho], [rho, 1.0]]], dtype=torch.float64)
    drift = float(activation_drift(v, bend)[0, 0, 1])
    assert math.isclose(width * (kernel - rho), drift, rel_tol=0.15)
    assert abs(float(activation_drift(v, bend)[0, 0, 0])) < 1e-12
