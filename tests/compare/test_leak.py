"""The leak probe finds what it must find, and accuses nobody else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from sequary.compare import folds, leak
from sequary.compare.ask import Ask
from sequary.compare.backtest import Outcome
from sequary.compare.candidates import Point
from sequary.compare.entrants import Learned
from sequary.compare.folds import Origin, known
from sequary.compare.options import options
from sequary.compare.ordinary import RuleEntrant, floors, ordinary
from sequary.compare.prepare import prepare
from sequary.compare.run import conduct
from sequary.compare.systems import SystemEntrant
from sequary.data.panel import Forecast, Panel
from sequary.data.roles import Columns
from sequary.tasks.forecast.floors import LastValue
from tests.compare.sleepers import Sleeper, SleepTask, prepared
from tests.tasks.panels import panel

HORIZON = 4
ASK = Ask(horizon=HORIZON, levels=(0.8,))


def noisy(seed: int = 0, gaps: bool = True) -> Panel:
    """Two series with gaps and all kinds of covariates."""
    rng = np.random.default_rng(seed)
    values = [np.sin(np.arange(160) / 4 + i) + 0.3 * rng.normal(size=160) for i in range(2)]
    for each in values:
        each[rng.random(160) < 0.05 * gaps] = np.nan
    past, future = rng.normal(size=(160, 1)), rng.normal(size=(170, 1))
    return panel(*values, season=8, past=past, future=future, static=np.ones(1))


@dataclasses.dataclass
class Constant:
    """Forecasts one number for every step."""

    value: float
    params: int = 0
    train_s: float = 0.0
    curve: list[Point] = dataclasses.field(default_factory=list)
    fixed: dict[str, Any] = dataclasses.field(default_factory=dict)

    def forecast(self, panel: Panel, origin: Origin, ask: Ask) -> list[Forecast]:
        found = LastValue().forecast(known(panel, origin)[0], ask.horizon, (0.5,))
        return [dataclasses.replace(f, mean=np.full_like(f.mean, self.value), quantiles={}) for f in found]


class ScaledOnEverything(RuleEntrant):
    """The plant: the scale comes from all rows, also those after the origin."""

    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Learned:
        return Constant(float(np.nanmean(panel.series[0].values)))


class ScaledOnTraining(RuleEntrant):
    """The same without the leak."""

    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Learned:
        return Constant(float(np.nanmean(known(panel, origin)[0].series[0].values)))


class StopsOnTest(RuleEntrant):
    """The plant: the number of steps is the one that is best on what is to be forecast."""

    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Learned:
        target = float(np.nanmean(known(panel, origin)[0].series[0].values))
        path = [target * (1 - 0.5**step) for step in range(1, 12)]  # what each further step of training would forecast
        held_out = panel.series[0].values[origin.rows[0] :]
        return Constant(min(path, key=lambda forecast: float(np.nanmean((held_out - forecast) ** 2))))


def probed(entrant: Any, whole: Panel) -> list[float]:
    return leak.probe(entrant, whole, folds.make(whole, HORIZON), ASK)


@pytest.mark.parametrize("plant", [ScaledOnEverything, StopsOnTest])
def test_plants_are_found(plant: type[RuleEntrant]) -> None:
    shifts = probed(plant("plant", "", LastValue, kind="rival"), noisy())
    assert sum(s > 0 for s in shifts) >= 4


@pytest.mark.parametrize("entrant", [*floors(), ordinary()[0], ScaledOnTraining("same", "", LastValue, kind="rival")])
def test_honest_ones_do_not_move_by_the_last_bit(entrant: Any) -> None:
    assert probed(entrant, noisy()) == [0.0] * 12


@pytest.mark.parametrize("name", ["dlinear", "itransformer"])
def test_systems_do_not_move(name: str) -> None:
    pytest.importorskip("torch").set_num_threads(1)
    assert probed(SystemEntrant(name, name), noisy()) == [0.0] * 12


def test_a_replay_in_bf16_is_one_and_does_not_move_either() -> None:
    pytest.importorskip("torch").set_num_threads(1)
    whole, entrant, ask = noisy(), SystemEntrant("itransformer", ""), ASK.but(setting={"precision": "bfloat16"})
    assert leak.probe(entrant, whole, folds.make(whole, HORIZON), ask) == [0.0] * 12
    learned = entrant.learn(whole, folds.make(whole, HORIZON).origins[0], leak.quick(entrant, ask))
    assert learned.fixed == {"precision": "bfloat16", "batch": 4}


@dataclasses.dataclass(frozen=True)
class Told(SleepTask):
    """Chose bf16, and notes what its probe is asked."""

    def run(self, entrant: Sleeper, role: str, ask: Ask, drawn: Sequence[str] = ()) -> Outcome:
        return dataclasses.replace(super().run(entrant, role, ask, drawn), fixed={"precision": "bfloat16", "batch": 32})

    def probe(self, entrant: Sleeper, ask: Ask) -> list[float]:
        self.trace.with_name("probed").write_text(json.dumps(dict(ask.setting)))
        return super().probe(entrant, ask)


def test_the_probe_replays_the_setting_that_won_in_the_precision_of_the_final_runs(tmp_path: Path) -> None:
    ready = prepared(tmp_path / "out", [Sleeper("a", 0.0)], steps=200, seeds=1)
    conduct(dataclasses.replace(ready, task=Told(tmp_path / "trace")))
    assert json.loads((tmp_path / "probed").read_text()) == {"lr": 0.1, "precision": "bfloat16"}


def test_a_pipeline_that_is_handed_the_future_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe replays the code that runs: break the cut, and it tells."""
    import sequary.compare.systems as systems

    def uncut(whole: Panel, origin: Origin) -> tuple[Panel, tuple[int, ...]]:
        return whole, tuple(range(len(whole.series)))

    monkeypatch.setattr(systems, "known", uncut)
    assert min(probed(SystemEntrant("dlinear", "dlinear"), noisy())) > 0


def test_everything_after_the_origin_changes_but_future_covariates_and_constants() -> None:
    whole = noisy()
    origin = folds.make(whole, HORIZON).origins[3]
    other = leak.perturbed(whole, origin, 0)
    for before, after, rows in zip(whole.series, other.series, origin.rows, strict=True):
        assert np.array_equal(before.values[:rows], after.values[:rows], equal_nan=True)
        assert not (before.values[rows:] == after.values[rows:]).any()
        assert not (before.past[rows:] == after.past[rows:]).any()
        assert np.array_equal(before.past[:rows], after.past[:rows])
        assert np.array_equal(before.future, after.future)
        assert np.array_equal(before.static, after.static)


def test_a_forecast_that_is_finite_only_once_has_moved() -> None:
    made = LastValue().forecast(noisy(gaps=False), HORIZON, (0.5,))
    broken = [dataclasses.replace(f, mean=np.full_like(f.mean, np.nan)) for f in made]
    assert leak.shift(made, broken) == float("inf")
    assert leak.shift(broken, broken) == 0.0


@pytest.mark.parametrize(("shift", "slope"), [(1, 1.0), (3, -2.5), (0, 2.0)])
def test_a_future_covariate_that_copies_the_target_is_named(shift: int, slope: float) -> None:
    y = np.random.default_rng(0).normal(size=200).cumsum()
    copied = slope * np.roll(y, -shift) + 7
    copied[len(y) - shift :] = 0.0
    frame = pl.DataFrame({"ds": np.arange(200), "y": y, "planned": copied[: len(y)]})
    frame = frame[: 200 - shift]
    given = options(
        horizon=4,
        budget="5s",
        systems=["dlinear"],
        family=None,
        metric=None,
        max_latency=None,
        max_params=None,
        seeds=1,
        levels=(0.8,),
        out="unused",
    )
    ready = prepare(frame, given, task=None, columns=Columns(future=("planned",)))
    assert len(ready.suspects) == 1
    assert "'planned' equals" in ready.suspects[0]
    assert "a leak" in ready.suspects[0]
