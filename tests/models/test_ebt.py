"""Two streams train all positions at once, and say what each position alone would; descent lowers the energy and learns."""

from __future__ import annotations

import torch

from sequary.core.catalogue import load
from sequary.core.values import Batch
from sequary.models.energy import EnergyModel


def tiny(seed: int = 0, **changes: object) -> EnergyModel:
    recipe = load("ebwm-ebt").recipe
    assert recipe is not None
    torch.manual_seed(seed)
    model = recipe.bind({"vocab": 7}).shrunk().but(**changes).build()
    assert isinstance(model, EnergyModel)
    return model.double()


def test_in_parallel_is_one_by_one() -> None:
    model, ids = tiny(), torch.randint(0, 7, (2, 9), generator=torch.Generator().manual_seed(0))
    start = torch.randn(2, 9, 7, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    together = model.refine(Batch(values=ids), start.clone(), None, learn=False)[-1]
    for t in range(9):
        prefix = start[:, : t + 1].clone()
        prefix[:, :t] = 5.0  # what other positions propose must not matter
        alone = model.refine(Batch(values=ids[:, : t + 1]), prefix, None, learn=False)[-1]
        assert torch.allclose(alone.logits[:, t], together.logits[:, t], atol=1e-12)
        assert torch.allclose(alone.energy[:, t], together.energy[:, t], atol=1e-12)


def test_left_padding_changes_nothing() -> None:
    model, ids = tiny(), torch.randint(0, 7, (2, 6), generator=torch.Generator().manual_seed(0))
    wide = torch.cat((torch.zeros(2, 3, dtype=torch.long), ids), 1)
    mask = torch.arange(9).expand(2, 9) >= 3
    plain = model(Batch(values=ids)).hidden
    assert torch.allclose(model(Batch(values=wide, observed=mask)).hidden[:, 3:], plain, atol=1e-12)


def test_a_small_step_lowers_the_energy() -> None:
    model, batch = tiny(model__alpha=0.05), Batch(values=torch.randint(0, 7, (2, 9)))
    distribution = torch.full((2, 9, 7), 1 / 7, dtype=torch.double, requires_grad=True)
    before = model.energy(batch, distribution)
    (slope,) = torch.autograd.grad(before.sum(), distribution)
    after = model.energy(batch, distribution - 0.01 * slope)
    assert float(after.detach().sum()) < float(before.detach().sum())


def test_the_loss_reaches_every_parameter_through_the_descent() -> None:
    model = tiny()
    recipe = load("ebwm-ebt").recipe
    assert recipe is not None
    ids = torch.randint(0, 7, (2, 10))
    batch = Batch(values=ids[:, :-1], target=ids[:, 1:])
    recipe.stages[0].objective(model, batch, torch.Generator().manual_seed(0)).value.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().any()] == []


def test_it_learns_a_rule() -> None:
    """Counting upwards modulo 7: one bit of 2.8 within a few seconds is far below chance."""
    recipe = load("ebwm-ebt").recipe
    assert recipe is not None
    model = tiny(model__alpha=5.0).float()
    optimiser, rng = torch.optim.Adam(model.parameters(), lr=3e-3), torch.Generator().manual_seed(0)
    losses: list[float] = []
    for _ in range(60):
        row = (torch.randint(0, 7, (8, 1), generator=rng) + torch.arange(9)) % 7
        loss = recipe.stages[0].objective(model, Batch(values=row[:, :-1], target=row[:, 1:]), rng).value
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 1.8
    assert sum(losses[-5:]) / 5 < 0.7
