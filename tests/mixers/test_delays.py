"""Learnt delays and spiking neurons: plain loops, what a rounded delay is, derivatives of the two forms, and narrowing bumps."""

from __future__ import annotations

import pytest
import torch

from sequary.core.part import part
from sequary.mixers.conv.delays import Bump, DelayedConv, Gaussian, Triangle
from sequary.mixers.ssm.spiking import NeuronLayer, Potentials, SpikingNeurons
from sequary.objectives.narrowing import Narrowing
from sequary.ops.forms import form
from sequary.ops.spikes import integrate_fire


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


@pytest.mark.parametrize("bump", [Gaussian, Triangle])
def test_kernels_are_the_sums_of_the_equation(bump: type[Bump]) -> None:
    torch.manual_seed(0)
    conv, x = (
        DelayedConv(3, longest=5, count=2, inputs=4, bias=True, bump=part(bump), spread=0.6).double(),
        drawn(1, 9, 4),
    )
    y = torch.zeros(9, 3, dtype=torch.float64)
    shape = bump(1)
    for o, i, n in torch.cartesian_prod(*(torch.arange(k) for k in (3, 4, 2))).tolist():
        bumps = torch.stack([shape(lag - conv.delay[o, i, n], conv.spread[o, i, n]) for lag in range(6)])
        for t in range(9):
            for lag in range(min(t, 5) + 1):
                y[t, o] = y[t, o] + conv.weight[o, i, n] * bumps[lag] / (bumps.sum() + 1e-7) * x[0, t - lag, i]
    torch.testing.assert_close(conv(x)[0], y)


def test_a_rounded_delay_is_a_shift() -> None:
    torch.manual_seed(1)
    conv, x = DelayedConv(1, longest=7, bump=part(Triangle), spread=3.0).double(), drawn(1, 20, 1)
    with torch.no_grad():
        conv.delay.fill_(3.4)
    conv.whole()
    delay = 3
    torch.testing.assert_close(conv(x)[:, delay:], conv.weight.flatten() * x[:, :-delay])
    assert not conv(x)[:, :delay].any()


def test_neurons_charge_leak_fire_and_start_again() -> None:
    neurons, x = (
        SpikingNeurons(1, tau=2.0).double(),
        torch.tensor([0.75, 0.5, 0.75, 0.0, 2.0, 0.25]).double()[None, :, None],
    )
    # u: .75, .375 + .5, .4375 + .75 (fires), 0, 2 (fires), .25
    assert neurons(x).flatten().tolist() == [0, 0, 1, 0, 1, 0]
    kept = Potentials(1, tau=2.0).double()(x).flatten()
    torch.testing.assert_close(kept[:3], torch.tensor([0.75, 0.875, 1.1875]).double())


def test_the_operator_has_the_derivatives_of_the_loop() -> None:
    x, keep, v = 2 * drawn(2, 12, 3), torch.rand(2, 12, dtype=torch.float64), drawn(2, 3)
    found = []
    for name in ("fused", "reference"):
        leaves = [t.clone().requires_grad_() for t in (x, keep, v)]
        with form(name):
            y, u = integrate_fire(*leaves, threshold=0.5, alpha=3.0)
        found.append([y, u, *torch.autograd.grad((y * drawn(2, 12, 3)).sum() + u.square().sum(), leaves)])
    assert found[0][0].any()
    for fast, slow in zip(*found, strict=True):
        torch.testing.assert_close(fast, slow)


def test_narrowing_shrinks_bumps_and_brings_delays_back() -> None:
    torch.manual_seed(0)
    layer = NeuronLayer(3, conv=part(DelayedConv, longest=5))
    conv = layer.conv
    assert isinstance(conv, DelayedConv)
    with torch.no_grad():
        conv.delay[0, 0] = 9.0
    widths = []
    for progress in (0.0, 0.125, 0.25, 1.0):
        Narrowing(first=8.0, last=0.5).at(progress).set(layer)
        widths.append(float(conv.spread[0, 0]))
    assert widths == pytest.approx([8.0, 2.0, 0.5, 0.5])
    assert float(conv.delay.detach().max()) == 5.0


def test_delays_of_a_pace_are_the_same_delays_moved_further() -> None:
    """One step of a rate moves a delay `pace` times as far, and nothing else."""
    moved = []
    for pace in (1.0, 20.0):
        torch.manual_seed(0)
        conv = DelayedConv(3, longest=7, inputs=4, bump=part(Triangle), spread=2.0, pace=pace).double()
        optimiser = torch.optim.SGD([conv.delay], lr=1e-3)
        before = conv(drawn(2, 12, 4))
        before.square().sum().backward()
        start = conv.delay.detach() * pace
        assert conv.delay.grad is not None
        conv.delay.grad.sign_()
        optimiser.step()
        moved.append((before.detach(), (conv.delay.detach() * pace - start)))
    torch.testing.assert_close(moved[0][0], moved[1][0], rtol=1e-5, atol=1e-6)  # delays are drawn in single precision
    torch.testing.assert_close(20 * moved[0][1], moved[1][1])
    conv.whole()
    torch.testing.assert_close(conv.pace * conv.delay, (conv.pace * conv.delay).round())
