from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import pytest
import torch

from sequary.core.contracts import Model
from sequary.core.recipe import Stage, Train
from sequary.core.values import Batch, Loss
from sequary.train import budget
from sequary.train.budget import choose
from sequary.train.diverged import Diverged
from sequary.train.loop import fit
from sequary.train.manifest import Chosen
from tests.train.tiny import Denoise, Rows, Tiny, same, tiny, weights

STAGE = Stage(objective=Denoise(), train=Train(steps=12, batch=8, lr=1e-2, evaluate_every=6))
HALF = Chosen(precision="bfloat16", steps=12, batch=8)


@dataclasses.dataclass(frozen=True)
class Types:
    """Notes the type of a product and of the loss in training and in validation."""

    seen: set[tuple[bool, torch.dtype]] = dataclasses.field(default_factory=set, compare=False)

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        self.seen.add((model.training, model.head(model(batch).hidden).dtype))
        return Denoise()(model, batch, rng)


def test_bfloat16_is_for_products_in_training_only() -> None:
    objective = Types()
    model = tiny()
    done = fit(model, dataclasses.replace(STAGE, objective=objective), Rows(), Rows(8), seed=0, chosen=HALF)
    assert objective.seen == {(True, torch.bfloat16), (False, torch.float32)}
    assert all(p.dtype == torch.float32 for p in model.parameters())
    full = fit(tiny(), STAGE, Rows(), Rows(8), seed=0)
    assert not same(weights(done.model), weights(full.model))
    a, b = done.curve[-1][2], full.curve[-1][2]
    assert a == pytest.approx(b, rel=0.1)


@dataclasses.dataclass(frozen=True)
class Normed:
    """Does what an RMS norm does under autocast, of which torch warns."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        torch.rms_norm(torch.ones(2, 8, dtype=torch.bfloat16), (8,), torch.ones(8))
        return Denoise()(model, batch, rng)


def test_training_is_silent_about_a_slower_norm_and_about_nothing_else() -> None:
    torch.set_warn_always(True)
    try:
        with pytest.warns(UserWarning, match="Mismatch dtype between input and weight"):
            torch.rms_norm(torch.ones(2, 8, dtype=torch.bfloat16), (8,), torch.ones(8))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(tiny(), dataclasses.replace(STAGE, objective=Normed()), Rows(), seed=0, chosen=HALF)
    finally:
        torch.set_warn_always(False)
    assert caught == []


def test_bfloat16_repeats_bit_for_bit() -> None:
    a, b = (fit(tiny(), STAGE, Rows(), seed=0, chosen=HALF) for _ in range(2))
    assert same(weights(a.model), weights(b.model))


def test_small_models_are_not_measured() -> None:
    rows = Rows()
    assert choose(tiny(), STAGE, rows, seed=0).precision == "full"
    assert rows.calls == 0
    assert choose(tiny().double(), dataclasses.replace(STAGE, objective=Types()), rows, seed=0).measured == {}


@pytest.mark.parametrize(("half", "expected"), [(0.5, "bfloat16"), (0.89, "bfloat16"), (0.95, "full"), (2.0, "full")])
def test_the_faster_one_is_chosen_and_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: float, expected: str
) -> None:
    """Times are given here: what a machine would measure is its own affair."""
    monkeypatch.setattr(
        budget, "_seconds_per_step", lambda m, st, so, chosen, *_: half if chosen.precision == "bfloat16" else 1.0
    )
    model = Tiny(dim=2**16)
    done = fit(model, dataclasses.replace(STAGE, train=Train(steps=1, batch=2)), Rows(), seed=0, folder=tmp_path)
    assert done.chosen.precision == expected
    assert done.chosen.measured == {"full": 1.0, "bfloat16": half}


@dataclasses.dataclass(frozen=True)
class Overflows:
    """Fails in the lower precision only."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        loss = Denoise()(model, batch, rng).value
        return Loss(loss * float("nan") if torch.is_autocast_enabled("cpu") else loss)


def test_a_precision_that_gives_nan_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "LARGE", 1)
    monkeypatch.setattr(budget, "GAIN", 1e9)  # bfloat16 would win by any finite time
    assert choose(tiny(), STAGE, Rows(), seed=0).precision == "bfloat16"
    chosen = choose(tiny(), dataclasses.replace(STAGE, objective=Overflows()), Rows(), seed=0)
    assert chosen.precision == "full"
    assert chosen.measured["bfloat16"] == float("inf")


def test_a_model_that_gives_nan_in_full_precision_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "LARGE", 1)
    rows = Rows()
    rows.x[3] = float("nan")
    with pytest.raises(Diverged):
        choose(tiny(), STAGE, rows, seed=0)
