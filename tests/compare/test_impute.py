"""Comparing imputers: what is hidden, how it is scored, and that a look at it is found."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from sequary.compare.ask import Ask
from sequary.compare.hiding import lay, losses, seen
from sequary.compare.imputers import FloorEntrant, ImputerEntrant, RivalEntrant, Ruled, ordinary
from sequary.compare.options import BadArgument
from sequary.compare.run import compare
from sequary.compare.tasks.impute import ImputeTask
from sequary.data.errors import DataError
from sequary.data.panel import Panel
from sequary.tasks.impute import floors
from sequary.tasks.impute.fitted import Filled
from sequary.tasks.impute.gaps import Bools
from tests.tasks.panels import panel

ASK = Ask(horizon=4, levels=(0.8,))
SMALL = """
from sequary.systems.timeseries.saits import RECIPE as FULL
RECIPE = FULL.shrunk()
TUNE = {"stages__0__train__lr": (3e-3,)}
"""


def waves(steps: int = 360, gaps: bool = True) -> Panel:
    rng = np.random.default_rng(0)
    a = np.sin(np.arange(steps) / 5) + 0.1 * rng.normal(size=steps)
    values = np.column_stack([a, 3 - 2 * a + 0.1 * rng.normal(size=steps)])
    values[rng.random(values.shape) < 0.03 * gaps] = np.nan
    return panel(values, season=8)


def task() -> ImputeTask:
    hiding, table, _ = lay(waves(), 4, "t.csv")
    return ImputeTask(table, hiding)


class LooksItUp(FloorEntrant):
    """The plant: the mean is that of all values, hidden ones included."""

    def learn(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> Ruled:
        means = [np.nanmean(s.values, axis=0) for s in panel.series]
        return Ruled(
            lambda known: [np.where(np.isnan(s.values), m, s.values) for s, m in zip(known.series, means, strict=True)]
        )


@dataclasses.dataclass(frozen=True)
class Kept:
    params: int = 0
    train_s: float = 0.0
    curve: tuple[Any, ...] = ()
    fixed: dict[str, Any] = dataclasses.field(default_factory=dict)

    def fill(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> list[Filled]:
        """The plant that forgets to hide: what is hidden comes back as known."""
        return [
            Filled(values=v, missing=np.isnan(s.values), half={})
            for v, s in zip(floors.linear(panel), panel.series, strict=True)
        ]


class ForgetsToHide(FloorEntrant):
    def learn(self, panel: Panel, hidden: Sequence[Bools], ask: Ask) -> Any:
        return Kept()


def test_rates_blocks_and_roles() -> None:
    hiding, table, notes = lay(waves(1200, gaps=False), 8, "t.csv")
    assert len(hiding.roles) == 12
    assert hiding.roles.count("choice") == 3
    assert {r for r, role in zip(hiding.rates, hiding.roles, strict=True) if role == "choice"} == {0.1, 0.3, 0.5}
    for fold, rate in enumerate(hiding.rates):
        here = hiding.parts[0] == fold
        assert hiding.cells[0][here].mean() == pytest.approx(rate, abs=0.06)
    assert "blocks of 8 steps" in notes[0]
    assert np.isnan(seen(table, hiding.cells).series[0].values).sum() == hiding.cells[0].sum()


def test_known_gaps_are_never_hidden_and_short_tables_are_refused() -> None:
    hiding, table, _ = lay(waves(), None, "t.csv")
    assert not (hiding.cells[0] & np.isnan(table.series[0].values)).any()
    with pytest.raises(DataError, match=r"t.csv: the median series has 20 steps, 24 are needed"):
        lay(waves(20), None, "t.csv")
    with pytest.raises(BadArgument, match="horizon=100: blocks of at most 30 steps"):
        lay(waves(), 100, "t.csv")


def test_losses_by_hand() -> None:
    made = task()
    known = seen(made.panel, made.hiding.cells)
    truth, size = made.panel.series[0].values, np.nanstd(known.series[0].values, axis=0)
    said = [
        Filled(values=truth + np.array([1.0, -2.0]), missing=np.isnan(truth), half={0.8: np.full(truth.shape, 1.5)})
    ]
    found = losses(made.panel, made.hiding, said, "board", (0.8,))
    assert found["mae"].shape == (2, made.hiding.roles.count("board"))
    assert found["mae"][0] == pytest.approx(1 / size[0])
    assert found["rmse"][1] == pytest.approx(2 / size[1])
    assert set(found["coverage_80"][0]) == {1.0}
    assert set(found["coverage_80"][1]) == {0.0}
    assert np.isfinite(found["mae_30"]).sum() == np.isfinite(found["mae"]).sum() / 3
    empty = [Filled(values=np.full(truth.shape, np.nan), missing=np.isnan(truth), half={})]
    assert np.isinf(losses(made.panel, made.hiding, empty, "choice", ())["mae"]).all()


@pytest.mark.parametrize("entrant", ordinary(), ids=lambda e: e.id)
def test_floors_and_rivals_see_nothing_hidden(entrant: FloorEntrant | RivalEntrant) -> None:
    assert task().probe(entrant, ASK) == [0.0] * 12
    board = task().run(entrant, "board", ASK)
    assert np.isfinite(np.array(board.losses["mae"])).all()


def test_a_system_sees_nothing_hidden(tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(SMALL)
    entrant = ImputerEntrant(str(tmp_path / "small.py"), "small")
    assert task().probe(entrant, ASK.but(setting={"context": 12})) == [0.0] * 12


@pytest.mark.parametrize("plant", [LooksItUp, ForgetsToHide])
def test_a_look_at_the_hidden_is_found(plant: type[FloorEntrant]) -> None:
    assert max(task().probe(plant("plant", "", floors.mean), ASK)) > 0.01


def test_a_whole_comparison(tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(SMALL)
    values = waves(360).series[0].values
    frame = pl.DataFrame({"t": np.arange(360), "a": values[:, 0], "b": values[:, 1]}).fill_nan(None)
    made = compare(
        frame,
        task="impute",
        horizon=4,
        budget="8steps",
        seeds=1,
        systems=[str(tmp_path / "small.py")],
        out=tmp_path / "report",
        columns={"time": "t"},
    )
    assert {c.id for c in made.candidates if c.status == "ok"} >= {"linear", "last-value", "mean", "regressions"}
    assert made.leak.max_shift == 0.0
    assert made.leak.probed == 12 * len(made.candidates)
    assert all({"mae", "rmse", "mae_10", "mae_50"} <= set(c.metrics) for c in made.candidates)
    assert made.plots
    assert (tmp_path / "report" / "best-system" / "contract.json").is_file() or (
        tmp_path / "report" / "winner"
    ).is_dir()
    with pytest.raises(BadArgument, match="boards of imputers rank by mae, rmse"):
        compare(frame, task="impute", metric="mase", out=tmp_path / "other", columns={"time": "t"})
