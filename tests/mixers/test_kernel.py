"""Kernel attention against the sums of the paper, written out."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.mixers.linear.feature_maps import FeatureMap, Polynomial
from sequary.mixers.linear.kernel import CausalKernelAttention, KernelAttention
from sequary.mixers.linear.log_normal import LogNormal
from sequary.mixers.linear.spectra import Fastfood, Normal, hadamard
from sequary.mixers.linear.spectral_maps import Fourier, Positive


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_causal_sums_by_a_loop():
    mixer = CausalKernelAttention(12, heads=3, key=2).double()
    x = drawn(2, 9, 12)
    q, k, v = (f(x).view(2, 9, 3, -1) for f in (mixer.q, mixer.k, mixer.v))
    rows: list[Tensor] = []
    for t in range(9):
        weights = torch.stack([((elu1(q[:, t]) * elu1(k[:, s])).sum(-1)) for s in range(t + 1)], 1)
        mean = (weights[..., None] * v[:, : t + 1]).sum(1) / (weights.sum(1)[..., None] + mixer.eps)
        rows.append(mixer.o(mean.flatten(1)))
    torch.testing.assert_close(mixer(x), torch.stack(rows, 1), rtol=0, atol=1e-12)


def elu1(x: Tensor) -> Tensor:
    return torch.where(x > 0, x + 1, x.exp())


def test_the_last_causal_token_reads_what_all_read():
    full, causal = KernelAttention(8, heads=2).double(), CausalKernelAttention(8, heads=2).double()
    causal.load_state_dict(full.state_dict())
    x = drawn(2, 7, 8)
    torch.testing.assert_close(full(x)[:, -1], causal(x)[:, -1], rtol=0, atol=1e-12)


def product(feature: FeatureMap, q: Tensor, k: Tensor) -> Tensor:
    return (feature.queries(q) * feature.keys(k)).sum(-1)


def test_polynomial_features_multiply_to_the_polynomial():
    q, k = drawn(2, 5, 3, 6), drawn(2, 5, 3, 6).flip(1)
    norm = torch.nn.LayerNorm(6, elementwise_affine=False).double()
    s = (norm(q) * norm(k)).sum(-1)
    torch.testing.assert_close(product(Polynomial(6, scale=0.3), q, k), 1 + 0.3 * s + (0.3 * s) ** 2 / 2)
    torch.testing.assert_close(product(Polynomial(6, order=1, scale=0.3), q, k), 1 + 0.3 * s)
    assert product(Polynomial(6, order=1), 50 * q, -50 * q).min() >= -1e-12


def test_features_of_normal_frequencies_estimate_the_gaussian_kernel():
    torch.manual_seed(0)
    q, k = drawn(1, 40, 1, 4) / 2, drawn(1, 40, 1, 4).flip(1) / 2
    exact = (-(q - k).square().sum(-1) / 2).exp()
    for feature in (
        Fourier(4, spectrum=part(Normal), samples=20_000, temperature=1.0, constant=0.0),
        Positive(4, spectrum=part(Normal), samples=20_000, temperature=1.0),
    ):
        assert (product(feature.double(), q, k) - exact).abs().mean() < 0.02


def test_fastfood_is_a_product_of_its_factors():
    torch.manual_seed(0)
    spectrum = Fastfood(4).double()
    h2 = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    h4 = torch.kron(h2, h2)
    torch.testing.assert_close(hadamard(torch.eye(4, dtype=torch.float64)), h4)
    p = torch.eye(4, dtype=torch.float64)[spectrum.place]
    v = torch.diag(spectrum.s) @ h4 @ torch.diag(spectrum.g) @ p @ h4 @ torch.diag(spectrum.b) / 2
    torch.testing.assert_close(spectrum()[0][0], v.T)


def test_log_normal_measures_real_tokens_while_training():
    mixer = CausalKernelAttention(8, heads=2, feature=part(LogNormal, momentum=1.0)).double()
    x = drawn(2, 6, 8)
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[:, 4:] = False
    mixer(x, Ctx(mask=mask))
    assert isinstance(mixer.feature, LogNormal)
    q = mixer.q(x[:, :4])
    torch.testing.assert_close(mixer.feature.variance[0], q.var(correction=0))
    measured = mixer.feature.variance.clone()
    mixer.eval()(x)
    assert torch.equal(mixer.feature.variance, measured)
