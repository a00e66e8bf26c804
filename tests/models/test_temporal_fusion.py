"""The Temporal Fusion Transformer: what it selects, what it sees, and what it says."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sequary.backbones.temporal_fusion import TemporalFusion
from sequary.condition.covariates import Covariates
from sequary.condition.selection import VariableSelection
from sequary.core.catalogue import load
from sequary.core.ctx import Tape
from sequary.core.part import part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.heads.quantiles import Quantiles
from sequary.mixers.attention.shared_value import SharedValueAttention
from sequary.models.temporal_fusion import CovariateForecaster

LOOK, HORIZON = 9, 4


def model(
    cardinalities: tuple[int, ...], static: int, past: int, reach: int | None = 0, layers: int = 1
) -> CovariateForecaster:
    torch.manual_seed(0)
    made = CovariateForecaster(
        8,
        horizon=HORIZON,
        covariates=part(Covariates, cardinalities=cardinalities, static=static, past=past),
        network=part(
            TemporalFusion,
            past=part(VariableSelection),
            attention=part(SharedValueAttention, heads=2),
            reach=reach,
            layers=layers,
        ),
        head=part(Quantiles, levels=(0.1, 0.5, 0.9)),
    )
    return made.double().eval()


def full() -> CovariateForecaster:
    return model((3, 0, 0, 4, 0), static=2, past=1)


def batch(rows: int = 3) -> Batch:
    rng = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    def code(n: int, *shape: int) -> torch.Tensor:
        return torch.randint(n, shape, generator=rng).double()

    return Batch(
        values=normal(rows, LOOK, 2).cumsum(1),
        static=torch.stack((code(3, rows), normal(rows)), -1),
        past=normal(rows, LOOK, 1),
        future=torch.stack((code(4, rows, LOOK + HORIZON), normal(rows, LOOK + HORIZON)), -1),
    )


@torch.no_grad()
def test_selection_weights_sum_to_one_and_are_on_the_tape() -> None:
    tape = Tape("selection", "attention")
    full()(batch(), tape=tape)
    static, past, future = tape.entries["selection"]
    assert [w.shape for w in (static, past, future)] == [(6, 2), (6, LOOK, 4), (6, HORIZON, 2)]
    for weights in (static, past, future):
        assert bool((weights > 0).all())
        assert torch.allclose(weights.sum(-1), torch.ones_like(weights[..., 0]), atol=1e-12)
    (attention,) = tape.entries["attention"]
    assert attention.shape == (6, 2, HORIZON, LOOK + HORIZON)
    assert torch.allclose(attention.sum(-1), torch.ones_like(attention[..., 0]), atol=1e-12)


@torch.no_grad()
def test_every_kind_of_covariate_changes_the_forecast() -> None:
    made, given = full(), batch()
    base = made.mean(made(given))
    for name in ("static", "past", "future"):
        columns = getattr(given, name)
        for c in range(columns.shape[-1]):
            other = columns.clone()
            other[..., c] = (other[..., c] + 1) % 3
            moved = made.mean(made(dataclasses.replace(given, **{name: other})))
            assert float((moved - base).abs().max()) > 1e-6, f"{name} column {c} is not read"


@torch.no_grad()
@pytest.mark.parametrize(("reach", "seen"), [(0, 0), (-1, 0), (None, HORIZON)])
def test_a_step_knows_later_covariates_only_within_reach(reach: int | None, seen: int) -> None:
    made, given = model((0,), static=0, past=0, reach=reach), batch()
    given = dataclasses.replace(given, static=None, past=None, future=batch().future[..., 1:])  # type: ignore[index]
    base, future = made(given).hidden, given.future
    assert future is not None
    for late in range(1, HORIZON):
        other = future.clone()
        other[:, LOOK + late] += 1
        moved = (made(dataclasses.replace(given, future=other)).hidden - base).abs().amax((0, 2, 3)) > 1e-12
        assert bool(moved[late])
        assert bool(moved[:late].any()) == (seen > 0)


@torch.no_grad()
def test_without_covariates() -> None:
    made = model((), static=0, past=0, layers=2)
    tape = Tape("selection")
    output = made(Batch(values=batch().values), tape=tape)
    assert made.mean(output).shape == (3, HORIZON, 2)
    assert [w.shape[-1] for w in tape.entries["selection"]] == [0, 1, 0]


@torch.no_grad()
def test_channels_are_rows_of_their_own() -> None:
    made, given = full(), batch()
    both = made.mean(made(given))
    alone = made.mean(made(dataclasses.replace(given, values=given.values[..., 1:])))
    assert torch.allclose(both[..., 1:], alone, atol=1e-12)


@torch.no_grad()
def test_a_missing_value_is_not_a_zero() -> None:
    made, given = full(), batch()
    observed = torch.ones_like(given.values, dtype=torch.bool)
    observed[:, 3] = False
    values = torch.where(observed, given.values, 0.0)
    gap = made(dataclasses.replace(given, values=values, observed=observed))
    mean = made.scale(values, observed)[1].shift
    filled = made(dataclasses.replace(given, values=torch.where(observed, values, mean)))
    assert float((gap.hidden - filled.hidden).abs().max()) > 1e-6


@torch.no_grad()
def test_quantiles_are_in_the_units_of_the_data_and_do_not_cross() -> None:
    made, given = full(), batch()
    levels = (0.1, 0.2, 0.5, 0.7, 0.9)
    quantiles = made.quantiles(made(given), levels)
    assert quantiles.shape == (3, HORIZON, 2, len(levels))
    assert bool((quantiles.diff(dim=-1) >= 0).all())
    larger = made(dataclasses.replace(given, values=1000 * given.values + 5))
    assert torch.allclose(made.quantiles(larger, levels), 1000 * quantiles + 5, rtol=1e-3)


@torch.no_grad()
def test_ragged_rows_do_not_read_their_padding() -> None:
    made, given = model((0,), static=0, past=0), batch(1)
    future = batch(1).future[..., 1:]  # type: ignore[index]
    look, ahead = 5, 3
    made.horizon = None
    short = made(
        Batch(values=given.values[:, :look], future=torch.cat((future[:, :look], future[:, LOOK : LOOK + ahead]), 1))
    )
    observed = torch.zeros_like(given.values, dtype=torch.bool)
    observed[:, :look] = True
    lengths = torch.full((2,), look), torch.full((2,), ahead)
    padded = made(Batch(values=given.values * observed, observed=observed, future=future), lengths=lengths)
    assert torch.allclose(padded.hidden[:, :ahead], short.hidden, atol=1e-12)


def test_wrong_covariates_are_named() -> None:
    with pytest.raises(ValueError, match="built for 2 static columns, the batch has 0"):
        full()(dataclasses.replace(batch(), static=None))
    with pytest.raises(ValueError, match="future covers 12 steps; look-back and horizon are 9"):
        full()(dataclasses.replace(batch(), future=batch().future[:, 1:]))  # type: ignore[index]


def test_the_recipe_takes_the_names_that_the_task_binds() -> None:
    recipe = load("tft").recipe
    assert recipe is not None
    spec = {"horizon": 4, "cardinalities": (3, 0), "static": 1, "past": 0, "levels": (0.1, 0.5, 0.9)}
    made = recipe.but(dim=8, model__network__attention__heads=2).bind(spec).model.build(Place(8))
    given = batch()
    output = made(
        Batch(values=given.values.float(), static=given.static[:, :1].float(), future=given.future[..., 1:].float())  # type: ignore[index]
    )
    assert output.hidden.shape == (3, 4, 2, 8)
