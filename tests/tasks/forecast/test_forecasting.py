from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sequary.backbones.stack import BLOCK
from sequary.builders import language_model
from sequary.core.catalogue import load
from sequary.core.contracts import Forecasts
from sequary.core.ctx import Tape
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.core.values import Batch, Output
from sequary.data.panel import Panel
from sequary.heads.points import HorizonPoints
from sequary.objectives.forecast import Forecast as ForecastLoss
from sequary.tasks.forecast.floors import EmptyHistory, SeasonalNaive
from sequary.tasks.forecast.holdout import held_out
from sequary.tasks.forecast.train import default_context, needs, prepare, probabilities, train
from sequary.tasks.training import Training
from tests.tasks.panels import panel

DLINEAR, PATCHTST = (recipe for name in ("dlinear", "patchtst") if (recipe := load(name).recipe) is not None)
LEVELS = probabilities((0.8, 0.95))


def wave(steps: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    t = np.arange(steps)[:, None]
    noise = np.random.default_rng(seed).normal(size=(steps, channels))
    return 50 + 10 * np.sin(2 * np.pi * t / 12 + np.arange(channels)) + 0.3 * noise


def fitted(p: Panel, horizon: int = 6, **changes: Any):
    return train(DLINEAR, p, Training(**{"context": 24, "seed": 0, "steps": 150, **changes}), horizon=horizon)


def test_needs_names_every_hole():
    assert needs(DLINEAR) == {"context", "horizon"}
    assert needs(PATCHTST) == {"context", "horizon", "patches"}


def test_prepare_fills_what_the_panel_tells_and_counts_tokens():
    p = panel(wave(200, 3), season=12)
    bound = prepare(PATCHTST, p, context=96, horizon=6)
    assert needs(bound) == set()
    assert bound.model.get("head").get("tokens") == (96 - 16) // 8 + 2


def test_prepare_says_what_a_panel_does_not_tell():
    odd = DLINEAR.but(model__head=part(HorizonPoints, horizon=FromData("horizon"), tokens=FromData("moon")))
    with pytest.raises(ValueError, match="asks for moon"):
        prepare(odd, panel(wave(100)), context=8, horizon=2)


def test_default_context_follows_season_horizon_and_length():
    assert default_context(panel(wave(2000), season=12), 6) == 24
    assert default_context(panel(wave(2000), season=12), 100) == 300
    assert default_context(panel(wave(9000), season=1440), 6) == 512
    assert default_context(panel(wave(60), season=24), 10) == 20


def test_probabilities_bound_the_central_intervals():
    assert probabilities((0.8, 0.95)) == (0.025, 0.1, 0.5, 0.9, 0.975)
    with pytest.raises(ValueError, match="80"):
        probabilities((80,))


def test_a_fitted_forecaster_beats_the_seasonal_naive_and_covers():
    y = wave(600, 2)
    p = panel(y, season=12)
    fit = fitted(p.cut([594]), steps=400)
    (found,) = fit.forecast(p.cut([594]), LEVELS)
    (naive,) = SeasonalNaive().forecast(p.cut([594]), 6, ())
    truth = y[594:]
    assert np.abs(truth - found.mean).mean() < np.abs(truth - naive.mean).mean()
    assert list(found.quantiles) == list(LEVELS)
    widths = np.diff([found.quantiles[q] for q in LEVELS], axis=0)
    assert (widths >= 0).all()
    assert ((truth > found.quantiles[0.025]) & (truth < found.quantiles[0.975])).mean() > 0.7
    assert found.times.tolist() == list(range(594, 600))


def test_same_seed_same_bits_and_torch_is_left_alone():
    p = panel(wave(120), season=12)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second, other = fitted(p, steps=20), fitted(p, steps=20), fitted(p, steps=20, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    a, b, c = (f.forecast(p, LEVELS)[0].mean for f in (first, second, other))
    assert (a == b).all()
    assert (a != c).any()
    assert (first.forecast(p, LEVELS)[0].mean == a).all()


def test_nothing_after_the_end_of_the_panel_moves_a_forecast():
    y = wave(200)
    changed = y.copy()
    changed[150:] = 1e6
    one, two = panel(y, season=12).cut([150]), panel(changed, season=12).cut([150])
    assert (
        fitted(one, steps=20).forecast(one, LEVELS)[0].mean == fitted(two, steps=20).forecast(two, LEVELS)[0].mean
    ).all()


def test_the_scale_comes_from_before_the_validation_part():
    y = wave(100)
    ends, judged = held_out(panel(y), 6)
    assert ends.tolist() == [80]
    assert judged.all()
    y[80:] += 1e4
    assert abs(fitted(panel(y), steps=5).scaler.values["s0"][0][0] - 50) < 5


def test_a_series_without_room_for_validation_is_learnt_from_whole():
    fit = fitted(panel(wave(17)), context=6, steps=5)
    assert fit.curve[-1][2] is None
    assert fit.conformal.shortfall(LEVELS) is not None
    assert np.isfinite(fit.forecast(panel(wave(17)), LEVELS)[0].quantiles[0.025]).all()


def test_too_short_for_the_horizon_says_so():
    with pytest.raises(ValueError, match="horizon=20 leaves nothing to learn from: the longest series has 15 steps"):
        fitted(panel(wave(15)), horizon=20)
    with pytest.raises(ValueError, match="horizon=0"):
        fitted(panel(wave(50)), horizon=0)


def test_series_of_different_lengths_gaps_and_an_unseen_series():
    y = wave(200)
    y[50:70] = np.nan
    fit = fitted(panel(y, wave(90, seed=1), wave(11, seed=2)), steps=50)
    end = wave(80, seed=3)
    end[-3:] = np.nan
    found = fit.forecast(panel(*[wave(30)] * 5, end), LEVELS)  # s3 to s5 were not there in training
    assert all(np.isfinite(f.mean).all() for f in found)
    assert abs(found[5].mean.mean() - 50) < 10


def test_a_constant_series_is_forecast_as_itself():
    p = panel(np.full(100, 7.5), wave(100))
    found = fitted(p, steps=30).forecast(p, LEVELS)[0]
    assert (found.mean == 7.5).all()
    assert (found.quantiles[0.025] == 7.5).all()


def widths(fit: Any, p: Panel) -> np.ndarray:
    (found,) = fit.forecast(p, LEVELS)
    return found.quantiles[0.9] - found.quantiles[0.1]


@pytest.mark.parametrize("rows", [200, 13, 12, 7])  # the last two hold no season
def test_intervals_do_not_depend_on_how_much_of_a_series_is_given(rows: int):
    y = wave(300) * (1 + np.arange(300)[:, None] / 300)
    fit = fitted(panel(y, season=12), context=6)
    np.testing.assert_allclose(widths(fit, panel(y[-rows:], season=12)), widths(fit, panel(y, season=12)), rtol=1e-9)


def test_intervals_of_an_unseen_series_without_a_season_are_not_those_of_its_last_change():
    y = wave(300)
    fit = fitted(panel(y, season=12), context=6)
    stranger = panel(y[-12:], season=12)
    stranger = dataclasses.replace(stranger, series=(dataclasses.replace(stranger.series[0], id="new"),))
    ratio = widths(fit, stranger) / widths(fit, panel(y, season=12))
    assert ((ratio > 0.8) & (ratio < 1.25)).all()


def inside(fit: Any, rows: list[np.ndarray], stops: Sequence[int], horizon: int) -> np.ndarray:
    """[series] share of the 80 % intervals that hold what came."""
    found: list[list[float]] = []
    for stop in stops:
        said = fit.forecast(panel(*rows, season=7).cut([stop] * len(rows)), LEVELS)
        truths = [y[stop : stop + horizon, None] for y in rows]
        pairs = zip(truths, said, strict=True)
        found.append([np.mean((f.quantiles[0.1] <= y) & (y <= f.quantiles[0.9])) for y, f in pairs])
    return np.mean(found, 0)


def test_series_that_begin_after_the_training_part_do_not_narrow_the_intervals():
    rows = list(np.random.default_rng(1).poisson(10, (20, 410)).astype(float))
    for late in rows[:10]:
        late[:330] = 0
    fit = fitted(panel(*rows, season=7).cut([390] * 20), horizon=7, context=14)
    share = inside(fit, rows, range(390, 403), 7)
    assert share[:10].mean() > 0.75
    assert 0.75 < share[10:].mean() < 0.9


def test_a_series_that_never_changes_counts_for_no_interval():
    y = wave(100)
    fit = fitted(panel(np.full(100, 7.5), y), steps=5)
    assert len(fit.conformal.sizes[0]) == len(fitted(panel(y), steps=5).conformal.sizes[0])
    assert all((size > 0).all() for size in fit.conformal.sizes)


def test_a_channel_of_which_nothing_is_known_is_refused():
    fit = fitted(panel(wave(100)), steps=5)
    stranger = dataclasses.replace(panel(np.full(20, np.nan)).series[0], id="new")
    with pytest.raises(EmptyHistory, match="series 'new'"):
        fit.forecast(dataclasses.replace(panel(wave(20)), series=(stranger,)), LEVELS)


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"fitted on channels \('c0',\), given \('c0', 'c1'\)"):
        fitted(panel(wave(100)), steps=5).forecast(panel(wave(50, 2)), LEVELS)


def test_settings_reach_the_recipe_and_the_context():
    fit = fitted(panel(wave(150)), steps=5, settings={"context": 12, "model__head__kernel": 5})
    assert fit.context == 12
    assert fit.recipe.dim == 12
    assert fit.recipe.model.get("head").get("kernel") == 5
    with pytest.raises(TypeError, match="kernle"):
        fitted(panel(wave(150)), steps=5, settings={"model__head__kernle": 5})


def test_the_record_tells_how_it_came_about(tmp_path: Path):
    fit = fitted(panel(wave(150)), steps=25, folder=tmp_path)
    assert fit.params == 2 * (24 * 6 + 6)
    assert fit.train_s > 0
    assert fit.curve[-1][0] == 25
    assert fit.manifest["chosen"]["steps"] == 25
    assert (tmp_path / "manifest.json").is_file()


def test_a_budget_in_seconds_chooses_steps_that_a_replay_can_repeat():
    p = panel(wave(200))
    fit = fitted(p, steps=None, seconds=0.3)
    steps = fit.manifest["chosen"]["steps"]
    assert steps > 1
    again = fitted(p, steps=steps)
    assert (again.forecast(p, LEVELS)[0].mean == fit.forecast(p, LEVELS)[0].mean).all()


class Told(Forecasts):
    """Says that the target will be the future covariate, with quantiles that lie p − 1/2 beside it, in reverse order."""

    def __init__(self, dim: int, *, cardinalities: tuple[int, ...], levels: tuple[float, ...]) -> None:
        super().__init__()
        assert cardinalities == (3, 0)
        assert levels == LEVELS
        self.bias = torch.nn.Parameter(torch.zeros(()))

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None):
        assert batch.future is not None
        assert batch.static is not None
        assert batch.static[:, 0].long().max() <= 2
        return Output(batch.future[:, -6:, :1] + self.bias)

    def loss(self, output: Output, target: Tensor, rng: torch.Generator | None = None):
        return (output.hidden - target).square()

    def mean(self, output: Output):
        return output.hidden

    def quantiles(self, output: Output, levels: Sequence[float]):
        return torch.stack([output.hidden + 0.5 - p for p in levels], -1)


def test_covariates_reach_the_model_and_its_own_quantiles_come_back_sorted():
    y = wave(206)
    p = panel(y[:200], y[:200], future=y, static=np.array([1.0]))
    p = dataclasses.replace(p, categories={"k0": ("north", "south")})
    stage = Stage(objective=ForecastLoss(), train=Train(steps=1, lr=0.0))
    model = part(Told, cardinalities=FromData("cardinalities"), levels=FromData("levels"))
    fit = train(Recipe(dim=1, model=model, stages=(stage,)), p, Training(context=8, seed=0), horizon=6)
    assert fit.native
    stranger = dataclasses.replace(p.series[0], static=np.array([np.nan]))
    first, second = fit.forecast(dataclasses.replace(p, series=(p.series[0], stranger)), LEVELS)
    np.testing.assert_allclose(first.mean, y[200:], rtol=1e-5)
    assert (np.diff([first.quantiles[q] for q in LEVELS], axis=0) > 0).all()
    assert (second.mean == first.mean).all()


def test_a_recipe_without_a_stage_is_refused():
    with pytest.raises(ValueError, match="no stage that trains"):
        train(dataclasses.replace(DLINEAR, stages=()), panel(wave(100)), Training(seed=0), horizon=6)


def test_a_model_of_another_task_is_refused():
    text = language_model(dim=8, depth=1, blocks=(BLOCK,))
    with pytest.raises(ValueError, match="LanguageModel does not forecast"):
        train(text, panel(wave(100)), Training(seed=0), horizon=6)
