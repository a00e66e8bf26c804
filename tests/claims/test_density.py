"""The claim of the diffusion head: densities of one token given a vector."""

from __future__ import annotations

import math

import pytest
import torch

from sequary.claims import density
from sequary.claims.experiments import claim_of
from sequary.claims.mixture import Mixture
from sequary.claims.token_densities import NOISE, target
from sequary.heads.diffusion import Diffusion

SETTINGS = {"channels": 4, "vocab": 16, "rows": 200, "steps": 3, "rates": (3e-3,)}


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_arms_match_in_size_and_only_one_has_the_diffusion_head() -> None:
    for settings in (SETTINGS, claim_of("mar-diffusion-loss").settings):
        models = {arm: density.built(arm, settings) for arm in density.ARMS}
        wanted = density.size(models["diffusion"])
        assert all(abs(density.size(m) - wanted) < 0.05 * wanted for m in models.values())
        assert [arm for arm, m in models.items() if isinstance(m.head, Diffusion)] == ["diffusion"]


def test_distance_of_one_density_from_itself_is_nothing_and_of_a_shift_is_not() -> None:
    x, y = torch.randn(2, 50, 200, 3, generator=rng())
    assert abs(density.distance(x, y)) < 0.01
    assert density.distance(x, y + 1) > 0.2


def test_means_of_two_modes_are_farther_than_the_nearest_of_many_draws() -> None:
    truth = target("two modes", 4, 0)
    u = torch.randn(30, 2, generator=rng()).repeat_interleave(100, 0)
    x, y = (truth.draw(u, rng()).view(30, 100, 4), truth.draw(u, torch.Generator().manual_seed(1)).view(30, 100, 4))
    mean = x.mean(1, keepdim=True).expand_as(x)
    assert density.distance(mean, y) > 5 * abs(density.distance(x, y))


def test_the_circle_is_one_and_the_modes_are_two() -> None:
    u = torch.zeros(400, 2)
    two = target("two modes", 2, 0).draw(u, rng())
    near = torch.cdist(two, two) < 6 * NOISE * math.sqrt(2)
    groups = {tuple(row.nonzero().flatten().tolist()) for row in near}
    assert len(groups) == 2
    circle = target("circle", 2, 0).draw(u, rng())
    reached = torch.zeros(400, dtype=torch.bool)
    reached[0] = True
    near = (torch.cdist(circle, circle) < 6 * NOISE * math.sqrt(2)).float()
    for _ in range(100):
        reached |= near[reached].sum(0) > 0
    assert bool(reached.all())


def test_the_mixture_is_a_density_and_its_draws_follow_it() -> None:
    torch.manual_seed(0)
    head = Mixture(3, channels=1, parts=4)
    hidden = torch.randn(1, 3, generator=rng())
    x = torch.linspace(-15, 15, 20_001)[:, None]
    with torch.no_grad():
        p = (-head.loss(hidden.expand(len(x), -1), x)).exp()
        draws = head.sample(hidden.expand(20_000, -1), rng())
    assert float(torch.trapezoid(p, x[:, 0])) == pytest.approx(1, abs=1e-3)
    mean = float(torch.trapezoid(p * x[:, 0], x[:, 0]))
    assert float(draws.mean()) == pytest.approx(mean, abs=0.05)


def test_a_trial_is_finite_and_its_baseline_the_better_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(density, "GIVEN", 8)
    monkeypatch.setattr(density, "DRAWS", 10)
    claim = claim_of("mar-diffusion-loss", SETTINGS)
    chosen = density.tune("mar-diffusion-loss", claim)
    trial = density.trial("mar-diffusion-loss", claim, 0, chosen)
    assert trial.baseline == min(trial.also["squared_error"], trial.also["codes"])
    assert trial.floor is not None
    assert all(map(math.isfinite, (trial.system, trial.baseline, trial.floor, trial.also["mixture"])))
