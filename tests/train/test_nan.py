from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from sequary.core.contracts import Model
from sequary.core.recipe import Stage, Train
from sequary.core.values import Batch, Loss
from sequary.train import checkpoint, loop
from sequary.train.diverged import Diverged
from sequary.train.loop import CHECKPOINT, fit
from sequary.train.sampler import Sampler
from tests.train.tiny import Denoise, Rows, tiny

SETTINGS = Train(steps=40, batch=8, lr=1e-2, evaluate_every=100)


@dataclasses.dataclass(frozen=True)
class Breaks:
    """As `Denoise`; a batch with `row` (its first value is given) gets a loss of `value`, or an infinite gradient."""

    first: float
    value: float | None = math.nan

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        loss = Denoise()(model, batch, rng).value
        if not (batch.values[:, 0, 0] == self.first).any():
            return Loss(loss)
        if self.value is not None:
            return Loss(loss * self.value)
        gain = model.get_parameter("norm.weight")
        zero = (gain - gain.detach()).square().sum()
        return Loss(loss + zero.sqrt())  # finite, but the slope of a root at 0 is not


def first_step(row: int, size: int, seed: int) -> int:
    sampler = Sampler(size, 8, seed)
    return next(k for k in range(100) if row in sampler.rows(k).tolist())


@pytest.fixture
def rows() -> Rows:
    return Rows(200)


ROW = next(r for r in range(200) if 13 <= first_step(r, 200, 0) <= 16)


@pytest.mark.parametrize(
    ("value", "words"),
    [(math.nan, "the loss is nan"), (math.inf, "the loss is inf"), (None, "its gradient is not finite")],
)
def test_the_step_the_rows_and_the_parameter_are_named(rows: Rows, value: float | None, words: str) -> None:
    """The losses are looked at every ten steps, yet the step is exact, and its update was not made."""
    bad = first_step(ROW, 200, 0)
    objective = Breaks(rows.x[ROW, 0, 0].item(), value)
    model = tiny()
    with pytest.raises(Diverged, match=words) as caught:
        fit(model, Stage(objective=objective, train=SETTINGS), rows, seed=0)
    error = caught.value
    assert error.step == bad + 1  # counted from 1
    assert list(error.rows) == Sampler(200, 8, 0).rows(bad).tolist()
    assert ROW in error.rows
    assert error.parameter == ("the gradient of norm.weight" if value is None else "the gradient of embed.0.weight")
    assert str(error).startswith(f"step {bad + 1}: ")
    assert f"batch of rows {error.rows[0]}, {error.rows[1]}" in str(error)
    assert "no checkpoint was kept" in str(error)
    assert "\n" not in str(error)
    # The weights are those of a run that ends just before, at the same rates.
    twin = tiny()
    short = dataclasses.replace(SETTINGS, schedule="constant")
    with pytest.raises(Diverged):
        fit(model := tiny(), Stage(objective=objective, train=short), rows, seed=0)
    fit(twin, Stage(objective=Denoise(), train=dataclasses.replace(short, steps=bad)), rows, seed=0)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), twin.parameters(), strict=True))


def test_the_last_good_checkpoint_stays(rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    bad = first_step(ROW, 200, 0)
    stage = Stage(objective=Breaks(rows.x[ROW, 0, 0].item()), train=SETTINGS)
    for _ in range(2):  # the resumed run meets it again
        with pytest.raises(Diverged, match=rf"the last good checkpoint is .*{CHECKPOINT} \(step {bad}\)") as caught:
            fit(tiny(), stage, rows, seed=0, folder=tmp_path)
        assert caught.value.step == bad + 1
        kept = checkpoint.load(tmp_path / CHECKPOINT)
        assert kept.facts["step"] == bad
        assert all(t.isfinite().all() for t in kept.tensors.values() if t.is_floating_point())


def test_a_weight_that_is_broken_from_the_start(rows: Rows) -> None:
    model = tiny()
    with torch.no_grad():
        model.get_parameter("norm.bias")[2] = math.nan
    with pytest.raises(Diverged, match=r"first in the weight norm\.bias") as caught:
        fit(model, Stage(objective=Denoise(), train=SETTINGS), rows, seed=0)
    assert caught.value.step == 1


@dataclasses.dataclass(frozen=True)
class Steep:
    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        steep = model.get_parameter("norm.bias")[0] + model.get_parameter("heads.main.out.bias")[0]
        return Loss(Denoise()(model, batch, rng).value + 1.5e19 * steep)  # each square is below 3.4e38, their sum above


def test_a_gradient_too_large_to_be_measured_is_not_skipped_in_silence(rows: Rows) -> None:
    with pytest.raises(Diverged, match=r"gradient is not finite, .*; first in the gradient of .*\.bias, .* squared"):
        fit(tiny(), Stage(objective=Steep(), train=SETTINGS), rows, seed=0)


def test_a_validation_loss_that_is_not_a_number(rows: Rows) -> None:
    held = Rows(20, seed=1)
    stage = Stage(
        objective=Breaks(held.x[9, 0, 0].item(), math.inf), train=dataclasses.replace(SETTINGS, evaluate_every=5)
    )
    with pytest.raises(Diverged, match="the validation loss is inf, batch of rows 8, 9, ") as caught:
        fit(tiny(), stage, rows, held, seed=0)
    assert caught.value.step == 5
    assert "all weights and gradients are finite" in str(caught.value)


def test_a_huge_rate_is_not_hidden_by_skipping(rows: Rows) -> None:
    """Every step after a bad one is skipped too, so nothing can be made good again unseen."""
    stage = Stage(objective=Denoise(), train=dataclasses.replace(SETTINGS, lr=1e30, clip=None))
    with pytest.raises(Diverged):
        fit(tiny(), stage, rows, seed=0)
