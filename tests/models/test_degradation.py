"""AnomalyBERT's degradation: what is changed, what is labelled, and that nothing else is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.core.values import Batch
from sequary.objectives.degradation import KINDS, Degradation

ROWS, STEPS = 64, 40


def only(kind: str, chance: float = 1.0) -> Degradation:
    return Degradation(**{k: chance if k == kind else 0.0 for k in KINDS})


def data(seed: int = 0) -> Tensor:
    return torch.randn(ROWS, STEPS, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_run(labels: Tensor) -> bool:
    """At most one run of ones in each row."""
    padded = torch.nn.functional.pad(labels.int(), (1, 1))
    return bool(((padded.diff(dim=1) == 1).sum(1) <= 1).all())


@pytest.mark.parametrize("kind", KINDS)
def test_the_batch_stays_and_the_labels_are_the_replaced_span(kind: str) -> None:
    x = data()
    kept = x.clone()
    new, labels = only(kind).degrade(Batch(values=x), torch.Generator().manual_seed(3))
    assert torch.equal(x, kept)
    changed = (new != x).any(-1)
    assert not bool((changed & ~labels).any())
    assert one_run(labels)
    assert bool(labels.any(1).all())
    if kind == "length":  # a step that is read where it stands stays as it is, and belongs to the span all the same
        assert float((changed & labels).sum() / labels.sum()) > 0.8
    else:
        assert torch.equal(changed, labels)
    assert int(labels.sum(1).max()) <= (1 if kind == "peak" else 10)


def test_chances() -> None:
    x = data().repeat(20, 1, 1)
    _, labels = only("soft", 0.25).degrade(Batch(values=x), torch.Generator().manual_seed(1))
    assert float(labels.any(1).double().mean()) == pytest.approx(0.25, abs=0.04)
    with pytest.raises(ValueError, match=r"sum to 1\.4"):
        Degradation(soft=1.0).degrade(Batch(values=x), torch.Generator())


def test_soft_blends_with_another_row() -> None:
    """Rows that are constant, each its own number: a blend lies between its own and one other, one weight for each channel."""
    x = torch.arange(ROWS, dtype=torch.float64)[:, None, None].expand(-1, STEPS, 3)
    new, labels = only("soft").degrade(Batch(values=x), torch.Generator().manual_seed(5))
    for row in range(ROWS):
        span = new[row, labels[row]]
        assert torch.allclose(span, span[:1].expand_as(span))
        assert bool((span[0] != row).any())
        assert bool(((span > -1e-9) & (span < ROWS - 1 + 1e-9)).all())


def test_uniform_is_one_value_inside_the_range() -> None:
    x = data()
    new, labels = only("uniform").degrade(Batch(values=x), torch.Generator().manual_seed(5))
    for row in range(ROWS):
        span = new[row, labels[row]]
        assert torch.equal(span, span[:1].expand_as(span))
    assert bool((new <= x.amax((0, 1))).all())
    assert bool((new >= x.amin((0, 1))).all())


def test_length_runs_the_row_at_another_speed() -> None:
    x = torch.arange(STEPS, dtype=torch.float64)[None, :, None].expand(ROWS, -1, 3)
    new, labels = only("length").degrade(Batch(values=x), torch.Generator().manual_seed(5))
    speeds = [float(new[row, labels[row], 0].diff().mean()) for row in range(ROWS) if int(labels[row].sum()) > 1]
    assert all(2 - 1e-9 <= s <= 4 + 1e-9 or 0.25 - 1e-9 <= s <= 0.5 + 1e-9 for s in speeds)
    assert any(s > 1 for s in speeds)
    assert any(s < 1 for s in speeds)


def test_missing_entries_stay() -> None:
    observed = torch.rand(ROWS, STEPS, 3, generator=torch.Generator().manual_seed(7)) > 0.4
    x = data() * observed
    new, _ = Degradation().degrade(Batch(values=x, observed=observed), torch.Generator().manual_seed(5))
    assert torch.equal(new[~observed], x[~observed])
