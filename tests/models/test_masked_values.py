"""TST's masks and encoder: spans of the right length and rate, losses on them alone, padding that changes nothing."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from sequary.core.catalogue import load
from sequary.core.values import Batch
from sequary.models.series import SeriesEncoder
from sequary.objectives.masked_values import MaskedValues, spans


def runs(mask_BTC: Tensor) -> Tensor:
    """Lengths of the runs that begin and end inside."""
    flat = mask_BTC.transpose(1, 2).flatten(0, 1).int()
    turns = flat.diff(dim=1)
    lengths: list[int] = []
    for row in turns:
        ups, downs = (row == 1).nonzero().flatten(), (row == -1).nonzero().flatten()
        if len(ups) and len(downs):
            downs = downs[downs > ups[0]]
            lengths += (downs - ups[: len(downs)]).tolist()
    return torch.tensor(lengths, dtype=torch.float64)


@pytest.mark.parametrize(("rate", "mean"), [(0.15, 3.0), (0.4, 5.0), (0.3, 1.0)])
def test_spans_have_the_mean_length_and_the_rate(rate: float, mean: float) -> None:
    mask = spans(60, 600, 4, rate=rate, mean=mean, rng=torch.Generator().manual_seed(0))
    assert mask.shape == (60, 600, 4)
    assert float(mask.double().mean()) == pytest.approx(rate, rel=0.03)
    lengths = runs(mask)
    assert float(lengths.mean()) == pytest.approx(mean, rel=0.04)
    # Geometric: a share 1 / mean of them is a single step.
    assert float((lengths == 1).double().mean()) == pytest.approx(1 / mean, rel=0.05)


def test_no_step_and_no_channel_is_special() -> None:
    mask = spans(4000, 12, 2, rate=0.2, mean=3.0, rng=torch.Generator().manual_seed(0)).double()
    assert float((mask.mean((0, 2)) - 0.2).abs().max()) < 0.02
    together = (mask[..., 0] * mask[..., 1]).mean()
    assert float(together) == pytest.approx(0.04, abs=0.005)


def test_impossible_spans_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rate=0\.9, span=3\.0"):
        spans(1, 5, 1, rate=0.9, mean=3.0, rng=torch.Generator())


def encoder() -> SeriesEncoder:
    recipe = load("tst-mvts").recipe
    assert recipe is not None
    torch.manual_seed(0)
    made = recipe.shrunk().bind({"channels": 2, "context": 12, "classes": 3}).build()
    assert isinstance(made, SeriesEncoder)
    return made.double().eval()


def batch() -> Batch:
    values = torch.randn(5, 12, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    observed = torch.ones(5, 12, dtype=torch.bool)
    observed[1, 7:] = False
    return Batch(values=values * observed[..., None], observed=observed)


def test_the_loss_counts_masked_and_real_entries_only() -> None:
    """Against the loss by hand: predictions from the batch with masked entries at 0."""
    made, given, objective = encoder(), batch(), MaskedValues(rate=0.3, head="pretrain")
    loss = objective(made, given, torch.Generator().manual_seed(4)).value
    mask = spans(5, 12, 2, rate=0.3, mean=3.0, rng=torch.Generator().manual_seed(4))
    said = made.heads["pretrain"](made(dataclasses.replace(given, values=given.values * ~mask)).hidden)
    assert given.observed is not None
    counted = mask & given.observed[..., None]
    assert torch.allclose(loss, (said - given.values)[counted].square().mean())


@torch.no_grad()
def test_padding_changes_no_answer() -> None:
    made, given = encoder(), batch()
    other = given.values.clone()
    other[1, 7:] = 100.0
    base = made.head(made(given).hidden)
    moved = made.head(made(dataclasses.replace(given, values=other)).hidden)
    assert torch.equal(base, moved)
    assert bool((made(given).hidden[1, 7:] == 0).all())
