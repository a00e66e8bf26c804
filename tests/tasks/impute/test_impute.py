"""A table with gaps in, the same table filled out: training, saving, kinds of tables."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from sequary.core.catalogue import load as system
from sequary.core.recipe import Recipe
from sequary.data.errors import DataError
from sequary.data.tables import understand
from sequary.objectives.hidden_gaps import HiddenGaps
from sequary.tasks.impute import train as imputing
from sequary.tasks.impute.fitted import Fitted
from sequary.tasks.impute.task import RowsWarning, Saved
from sequary.tasks.saved import load, save
from sequary.tasks.task import OtherTask
from sequary.tasks.training import Training

STEPS = 240
DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(STEPS)]


def recipe() -> Recipe:
    found = system("saits").recipe
    assert found is not None
    return found.shrunk().but(dim=32, stages__0__train__lr=5e-3, stages__0__train__batch=32)


def wide() -> pl.DataFrame:
    """Two noisy channels that tell of each other, a third that nothing is missing of, and texts to be left alone."""
    t, rng = np.arange(STEPS), np.random.default_rng(0)
    a = 10 + 3 * np.sin(t / 4) + 0.1 * rng.normal(size=STEPS)
    b = 2 * a + 1 + 0.1 * rng.normal(size=STEPS)
    frame = pl.DataFrame({"date": DAYS, "a": a, "b": b, "whole": np.cos(t / 9), "note": ["x", None] * (STEPS // 2)})
    return frame.with_columns(
        pl.Series("a", np.where((t >= 60) & (t <= 75), np.nan, a), nan_to_null=True),
        pl.Series("b", np.where((t >= 200) & (t <= 207), np.nan, b), nan_to_null=True),
    )


def fitted(frame: pl.DataFrame, **changes: Any) -> Fitted:
    panel, _ = understand(frame)
    return imputing.train(recipe(), panel, Training(**{"context": 24, "seed": 0, "steps": 150, **changes}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "wide"
    save(fitted(wide().drop("note")), path)
    return path


def imputer(folder: Path) -> Saved:
    found = load(folder)
    assert isinstance(found, Saved)
    return found


def test_gaps_are_filled_better_than_by_a_line(folder: Path) -> None:
    frame, truth = wide(), 10 + 3 * np.sin(np.arange(STEPS) / 4)
    found = imputer(folder).impute(frame)
    said = found["a"].to_numpy()[60:76]
    line = np.interp(np.arange(60, 76), [59, 76], [frame["a"][59], frame["a"][76]])
    assert np.abs(said - truth[60:76]).mean() < 0.5 * np.abs(line - truth[60:76]).mean()


def test_known_cells_rows_and_other_columns_stay(folder: Path) -> None:
    frame = wide()
    found = imputer(folder).impute(frame)
    assert found.columns == frame.columns
    assert found.select("date", "whole", "note").equals(frame.select("date", "whole", "note"))
    for name in ("a", "b"):
        known = frame[name].is_not_null()
        assert found[name].filter(known).to_numpy().tobytes() == frame[name].filter(known).to_numpy().tobytes()
        assert found[name].null_count() == 0
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    assert imputer(folder).impute(shuffled).sort("date").equals(found)


def test_the_same_kind_of_table_comes_back(folder: Path, tmp_path: Path) -> None:
    frame = wide()
    model = imputer(folder)
    want = model.impute(frame)["a"].to_numpy()
    pandas = frame.to_pandas()
    pandas.index = pd.Index(range(7, 7 + STEPS), name="own")
    found = model.impute(pandas)
    assert isinstance(found, pd.DataFrame)
    assert found.index.equals(pandas.index)
    assert np.array_equal(found["a"], want)
    assert found.drop(columns=["a", "b"]).equals(pandas.drop(columns=["a", "b"]))
    assert np.array_equal(model.impute(frame.to_arrow()).column("a").to_numpy(), want)
    assert np.array_equal(model.impute(frame.lazy()).collect()["a"].to_numpy(), want)
    frame.write_csv(tmp_path / "t.csv")
    assert np.array_equal(model.impute(tmp_path / "t.csv")["a"].to_numpy(), want)


def test_intervals_stand_where_cells_were_filled(folder: Path) -> None:
    frame = wide()
    found = imputer(folder).impute(frame, levels=(0.5, 0.8))
    missing = frame["a"].is_null()
    assert (found["a-lo-80"].is_not_null() == missing).all()
    inside = found.filter(missing)
    for low, high in (("a-lo-80", "a-lo-50"), ("a-lo-50", "a"), ("a", "a-hi-50"), ("a-hi-50", "a-hi-80")):
        assert (inside[low] <= inside[high]).all()
    with pytest.raises(ValueError, match="no shares of an interval"):
        imputer(folder).impute(frame, levels=(80,))


def test_saved_equals_fitted(folder: Path) -> None:
    frame = wide().drop("note")
    panel, _ = understand(frame)
    made, kept = fitted(frame).fill(panel, (0.8,))[0], imputer(folder).fitted.fill(panel, (0.8,))[0]
    assert np.array_equal(made.values, kept.values)
    assert np.array_equal(made.half[0.8], kept.half[0.8], equal_nan=True)


def test_new_and_long_tables(tmp_path: Path) -> None:
    t = np.arange(90)
    parts = [
        pl.DataFrame({"unique_id": n, "ds": DAYS[:90], "y": k * (5 + np.sin(t / 3))})
        for n, k in (("p", 1.0), ("q", 9.0))
    ]
    frame = pl.concat(parts).with_columns(
        pl.when(pl.col("ds").is_between(DAYS[40], DAYS[44])).then(None).otherwise(pl.col("y")).alias("y")
    )
    save(fitted(frame, steps=30), tmp_path / "m")
    model = imputer(tmp_path / "m")
    unseen = frame.with_columns(unique_id=pl.col("unique_id") + "2", y=pl.col("y") * 100)
    found = model.impute(unseen)
    assert found["y"].null_count() == 0
    assert found.filter(pl.col("unique_id") == "q2")["y"].min() > 1000  # by the scale that it brings
    empty = pl.concat(
        [unseen, pl.DataFrame({"unique_id": "none", "ds": DAYS[:9], "y": [None] * 9}, schema=frame.schema)]
    )
    with pytest.raises(DataError, match="series 'none', column 'y': no value is known"):
        model.impute(empty)


def test_whole_numbers_and_steps_without_rows(folder: Path) -> None:
    frame = wide().with_columns(pl.col("a").round().cast(pl.Int64)).filter(pl.col("date") != DAYS[10])
    with pytest.warns(RowsWarning, match="1 steps of 1d between rows have no row"):
        found = imputer(folder).impute(frame)
    known = frame["a"].is_not_null()
    assert found["a"].dtype == pl.Float64
    assert (found["a"].filter(known) == frame["a"].filter(known)).all()
    assert len(found) == len(frame)


def test_a_whole_table_comes_back_as_it_came(folder: Path) -> None:
    frame = wide().filter(pl.col("a").is_not_null() & pl.col("b").is_not_null())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RowsWarning)
        assert imputer(folder).impute(frame).equals(frame)


def test_a_table_without_any_gap_comes_back_as_it_came(folder: Path) -> None:
    frame = wide()[80:200]
    assert frame["a"].null_count() == frame["b"].null_count() == 0
    assert imputer(folder).impute(frame).equals(frame)


def test_columns_that_the_ends_of_intervals_would_replace_are_refused(folder: Path) -> None:
    frame = wide().with_columns(pl.lit(1.0).alias("b-hi-80"))
    with pytest.raises(
        DataError, match=r"column 'b-hi-80': .*which impute would write over; rename it, or leave it out"
    ):
        imputer(folder).impute(frame, levels=(0.5, 0.8))
    assert (imputer(folder).impute(frame, levels=(0.5,))["b-hi-80"] == 1).all()


def test_it_learns_from_hidden_gaps() -> None:
    made = fitted(wide().drop("note"), steps=2)
    assert isinstance(made.recipe.stages[0].objective, HiddenGaps)
    assert len(made.intervals.groups.sizes) == 3 * 6


def test_a_table_too_short_to_hold_out(tmp_path: Path) -> None:
    frame = wide().drop("note")[50:80]
    save(fitted(frame, steps=2, context=24), tmp_path / "m")
    model = imputer(tmp_path / "m")
    assert model.impute(frame)["a"].null_count() == 0
    with pytest.raises(ValueError, match="too short to hold cells out"):
        model.impute(frame, levels=(0.8,))


def test_what_is_refused(folder: Path) -> None:
    forecaster = system("dlinear").recipe
    assert forecaster is not None
    assert imputing.refuses(forecaster) is not None
    with pytest.raises(ValueError, match="does not learn to impute"):
        imputing.train(forecaster, understand(wide())[0], Training(seed=0, steps=1))
    with pytest.raises(ValueError, match="a window of one step"):
        fitted(wide(), context=1)
    with pytest.raises(DataError, match="column 'b', which the model was fitted with, is missing"):
        imputer(folder).impute(wide().drop("b"))
    with pytest.raises(OtherTask, match="a model of the task impute"):
        imputer(folder).predict(wide())


def test_same_seed_same_bits() -> None:
    one, two = (fitted(wide().drop("note"), steps=3).model.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
