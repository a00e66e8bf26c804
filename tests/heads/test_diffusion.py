"""The diffusion head and its noise: densities that a mean cannot say."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sequary.heads.diffusion import Diffusion, corrupted, log_likelihood, posterior
from sequary.noise.gaussian import CosineBetas, Gaussian, LinearBetas, spread


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_modes(rows: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """z = ±1 says by how much the modes lie apart: x ~ ±0.5 or ±1.5 on the first axis, N(0, 0.1²) around."""
    sign, side = (torch.randint(2, (rows, 1), generator=generator) * 2.0 - 1 for _ in range(2))
    centre = torch.cat((side * (1 + 0.5 * sign), torch.zeros(rows, 1)), 1)
    return sign.expand(-1, 4), centre + 0.1 * torch.randn(rows, 2, generator=generator)


def test_samples_find_both_modes_given_the_condition() -> None:
    torch.manual_seed(0)
    head = Diffusion(4, channels=2, width=48, depth=2, noise=Gaussian(100, LinearBetas()), calls=25, repeats=4)
    optimiser, draw = torch.optim.Adam(head.parameters(), lr=4e-3), rng(1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 400)
    for _ in range(400):
        z, x = two_modes(96, draw)
        optimiser.zero_grad()
        head.loss(z, x, draw).mean().backward()
        optimiser.step()
        schedule.step()
    for sign, distance in ((1.0, 1.5), (-1.0, 0.5)):
        with torch.no_grad():
            x = head.sample(torch.full((400, 4), sign), rng(2))
        left = (x[:, 0] < 0).float().mean().item()
        assert 0.3 < left < 0.7, "both modes are about as likely"
        off = (x[:, 0].abs() - distance).abs()
        assert off.mean() < 0.2, "samples lie at the modes, not at their mean 0"
        assert x[:, 1].abs().mean() < 0.25


def test_temperature_zero_is_one_path() -> None:
    torch.manual_seed(0)
    head = Diffusion(3, channels=2, width=16, depth=1, calls=5).eval()
    torch.nn.init.normal_(head.net.last.weight, std=0.1)
    z = torch.randn(4, 3, generator=rng())
    cold = [head.sample(z, rng(seed), temperature=0.0) for seed in (1, 1, 2)]
    assert torch.equal(cold[0], cold[1])
    assert not torch.equal(cold[0], cold[2]), "the start is still drawn"


def test_guidance_of_one_is_plain_sampling() -> None:
    torch.manual_seed(0)
    head = Diffusion(3, channels=2, width=16, depth=1, calls=5).double().eval()
    for weight in (head.net.last.weight, head.net.modulation.weight):
        torch.nn.init.normal_(weight, std=0.1)
    z, plain = (torch.randn(4, 3, generator=rng(s), dtype=torch.float64) for s in (1, 2))
    alone, guided = head.sample(z, rng(3)), head.guided(z, plain, 1.0, rng(3))
    torch.testing.assert_close(guided, alone)
    assert (head.guided(z, plain, 3.0, rng(3)) - alone).abs().max() > 1e-4


def test_loss_needs_a_generator_and_is_one_value_a_token() -> None:
    head = Diffusion(3, channels=2, width=16, depth=1)
    z, x = torch.randn(2, 5, 3, generator=rng()), torch.randn(2, 5, 2, generator=rng())
    assert head.loss(z, x, rng()).shape == (2, 5)
    with pytest.raises(ValueError, match="pass rng"):
        head.loss(z, x)


def test_variational_term_vanishes_at_the_true_posterior() -> None:
    """With the true noise as ε and the smaller variance, the posterior that the network says is the true one."""
    chain = Gaussian(50).chain(50)
    x, noise = (torch.randn(6, 2, generator=rng(s), dtype=torch.float64) for s in (1, 2))
    step = torch.tensor([1, 5, 10, 20, 40, 49])
    x_i = corrupted(chain, x, step, noise)
    mean, log_var = posterior(chain, x_i, step, noise, torch.full_like(x, -1.0))
    first = (chain.beta * chain.kept_before.sqrt() / (1 - chain.kept))[step, None]
    second = ((1 - chain.kept_before) * (1 - chain.beta).sqrt() / (1 - chain.kept))[step, None]
    torch.testing.assert_close(mean, first * x + second * x_i)
    torch.testing.assert_close(log_var, chain.floor[step, None].expand(-1, 2))


def test_binned_likelihood_sums_to_one() -> None:
    centres = torch.linspace(-1, 1, 256, dtype=torch.float64)
    mean, deviation = torch.tensor(0.2, dtype=torch.float64), torch.tensor(-1.5, dtype=torch.float64)
    assert log_likelihood(centres, mean, deviation).exp().sum().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("schedule", [CosineBetas(), LinearBetas()])
def test_schedules_end_in_noise(schedule: CosineBetas | LinearBetas) -> None:
    kept = Gaussian(1000, schedule).chain(1000).kept
    assert kept[0] > 0.999
    assert kept[-1] < 1e-4
    assert (kept.diff() < 0).all()


def test_fewer_steps_keep_the_levels_of_the_whole_chain() -> None:
    noise = Gaussian(1000)
    few, whole = noise.chain(8), noise.chain(1000)
    assert few.at.tolist() == [0, 143, 285, 428, 571, 714, 856, 999]
    torch.testing.assert_close(few.kept, whole.kept[few.at])
    with pytest.raises(ValueError, match="1001 steps of a chain of 1000"):
        spread(1000, 1001)


def test_corrupted_data_have_the_variance_of_the_schedule() -> None:
    noise = Gaussian(1000)
    x = torch.zeros(4000, 2)
    y, drawn = noise.corrupt(x, torch.full((4000,), 0.5), rng())
    level = noise.chain(1000).kept[499]
    torch.testing.assert_close(y, (1 - level).sqrt().float() * drawn)
    assert F.mse_loss(y, x).item() == pytest.approx(1 - level.item(), rel=0.05)
