"""The delayed cue: its rows, its reward, and a tiny trial."""

from __future__ import annotations

import torch

from sequary.claims import delayed_cue
from sequary.claims.experiments import claim_of
from sequary.core.values import Batch

TRAIN = {"dim": 16, "model__backbone__depth": 1, "stages__0__train__steps": 60, "stages__0__train__batch": 32}
TINY = {"train": TRAIN, "delay": 2, "rates": (1e-2,), "beside": ()}


def test_only_the_first_symbol_tells_the_answer() -> None:
    rows = delayed_cue.cued(50, 0, "train", cues=2, delay=3)
    assert rows.values[:, 1:].unique(dim=0).tolist() == [[0, 0, 0, 1]]
    assert torch.equal(rows.target[:, -1], rows.values[:, 0])
    assert set(rows.values[:, 0].tolist()) == {2, 3}
    assert rows.asked.sum() == 50


def test_the_gradient_raises_what_was_rewarded() -> None:
    recipe = delayed_cue.arms("gtrxl", claim_of("gtrxl", TINY))["system"].bind({"vocab": 4})
    torch.manual_seed(0)
    model, rows = recipe.build(), delayed_cue.cued(64, 0, "train", cues=2, delay=2)
    rng, batch = torch.Generator().manual_seed(0), rows.batch(torch.arange(64))
    objective, optimiser = delayed_cue.Reinforce(), torch.optim.Adam(model.parameters(), 1e-2)
    rewards = []
    for _ in range(60):
        loss = objective(model, Batch(values=batch.values, target=batch.target), rng)
        rewards.append(float(loss.terms["reward"]))
        optimiser.zero_grad()
        loss.value.backward()
        optimiser.step()
    assert sum(rewards[:5]) / 5 < 0.5 < 0.8 < sum(rewards[-5:]) / 5


def test_arms_are_of_equal_size_and_a_trial_repeats() -> None:
    claim = claim_of("gtrxl", TINY)
    sizes = [
        sum(p.numel() for p in r.bind({"vocab": 4}).build().parameters())
        for r in delayed_cue.arms("gtrxl", claim).values()
    ]
    assert max(sizes) <= 1.05 * min(sizes)
    one, two = (delayed_cue.trial("gtrxl", claim, 0, {}) for _ in range(2))
    assert one == two
