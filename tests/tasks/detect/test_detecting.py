"""A detector from table to table: faults score high, later rows leave settled scores alone, a saved one says the same."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import sequary
from sequary.core.catalogue import load
from sequary.data.errors import DataError
from sequary.data.roles import Columns
from sequary.data.tables import understand
from sequary.tasks.detect import task
from sequary.tasks.detect.fitted import Fitted
from sequary.tasks.detect.judged import auroc
from sequary.tasks.detect.task import Saved
from sequary.tasks.detect.train import default_context, refuses, train
from sequary.tasks.saved import SavedError, save
from sequary.tasks.task import Asked
from sequary.tasks.training import Training
from tests.tasks.detect.series import FAULTS, SMALL, waves
from tests.tasks.panels import panel

RECIPE: Any = load("anomalybert").recipe
COLUMNS = Columns(target=("a", "b"), label="fault")


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    known, _ = understand(waves().drop("fault")[:240])
    return train(
        RECIPE, known, Training(context=16, seed=0, steps=150, settings=SMALL | {"stages__0__train__lr": 5e-3})
    )


@pytest.fixture(scope="module")
def saved(fitted: Fitted, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder = tmp_path_factory.mktemp("detect") / "m"
    save(fitted, folder)
    found = sequary.load(folder)
    assert isinstance(found, Saved)
    return found


def test_faults_score_high(fitted: Fitted) -> None:
    whole, _ = understand(waves().drop("fault"))
    score = fitted.scores(whole)[0]
    assert ((score > 0) & (score < 1)).all()
    assert auroc(score, waves()["fault"].to_numpy() == 1) > 0.9


def test_the_same_seed_gives_the_same_scores(fitted: Fitted) -> None:
    known, _ = understand(waves().drop("fault")[:240])
    one, two = (train(RECIPE, known, Training(context=16, seed=3, steps=3, settings=SMALL)) for _ in range(2))
    np.testing.assert_array_equal(one.scores(known)[0], two.scores(known)[0])
    assert one.threshold.at() == two.threshold.at()
    np.testing.assert_array_equal(fitted.scores(known)[0], fitted.scores(known)[0])


@pytest.mark.parametrize("steps", [100, 101, 103, 112])
def test_settled_scores_do_not_move(fitted: Fitted, steps: int) -> None:
    """`delay` steps later: neither other values there nor rows that come to the end change a score."""
    whole, _ = understand(waves().drop("fault")[:200])
    series = whole.series[0]
    values = series.values.copy()
    values[steps:] = 5 - values[steps:]
    other = dataclasses.replace(whole, series=(dataclasses.replace(series, values=values),))
    settled = steps - fitted.delay
    first, changed, cut = (fitted.scores(p)[0] for p in (whole, other, whole.cut([steps])))
    np.testing.assert_array_equal(first[:settled], changed[:settled])
    assert (first[settled : settled + 4] != changed[settled : settled + 4]).any()  # windows begin every 4 steps
    np.testing.assert_allclose(first[:settled], cut[:settled], rtol=1e-6)


def test_short_series_gaps_and_steps_without_values(fitted: Fitted) -> None:
    y = np.stack([np.sin(np.arange(40) / 4), np.cos(np.arange(40) / 4)], 1)
    gaps = y.copy()
    gaps[10:14] = np.nan
    gaps[20, 0] = np.nan
    whole = dataclasses.replace(panel(y[:5], gaps), channels=("a", "b"))
    short, holed = fitted.scores(whole)
    assert np.isfinite(short).all()
    assert np.flatnonzero(np.isnan(holed)).tolist() == [10, 11, 12, 13]
    with pytest.raises(ValueError, match="fitted on channels"):
        fitted.scores(panel(y))


def test_the_threshold_comes_from_the_held_out_fifth(fitted: Fitted) -> None:
    known, _ = understand(waves().drop("fault")[:240])
    assert fitted.threshold.steps == 48
    assert fitted.threshold.at() == fitted.scores(known)[0][192:].max()


def test_a_table_comes_back_with_two_columns(saved: Saved) -> None:
    frame = waves().with_columns(pl.lit("x").alias("note"))
    made = saved.detect(frame)
    assert made.columns == [*frame.columns, "score", "anomaly"]
    assert made.drop("score", "anomaly").equals(frame)
    at = saved.fitted.threshold.at()
    assert (made["anomaly"] == (made["score"] > at).cast(int)).all()
    shuffled = frame.sample(fraction=1, shuffle=True, seed=0)
    again = saved.detect(shuffled).sort("time")
    assert again.equals(made)  # scores go with their rows
    as_pandas = saved.detect(frame.drop("note").to_pandas().set_index(np.arange(480) + 7))
    assert isinstance(as_pandas, pd.DataFrame)
    assert as_pandas.index[0] == 7
    np.testing.assert_array_equal(as_pandas["score"], made["score"])
    assert as_pandas["anomaly"].dtype == np.int64


def test_a_row_without_values_has_no_score(saved: Saved) -> None:
    frame = waves().with_columns(
        pl.when(pl.int_range(pl.len()) == 30).then(None).otherwise(pl.col("a", "b")).name.keep()
    )
    made = saved.detect(frame)
    assert made["score"].is_null().arg_true().to_list() == [30]
    assert made["anomaly"].is_null().arg_true().to_list() == [30]
    assert np.isnan(saved.detect(frame.to_pandas())["anomaly"][30])


def test_events_are_intervals_around_the_faults(saved: Saved) -> None:
    found = saved.found(waves(), alarms=50)
    assert found.threshold < saved.fitted.threshold.at()
    frame = waves()
    for first, last in FAULTS:
        inside = (found.events["start"] <= frame["time"][last]) & (found.events["end"] >= frame["time"][first])
        assert inside.any()
    assert (found.events["score"] > found.threshold).all()


def test_events_are_in_the_zone_of_the_table(saved: Saved) -> None:
    zoned = waves().with_columns(pl.col("time").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York"))
    there, plain = saved.found(zoned, alarms=50).events, saved.found(waves(), alarms=50).events
    assert there.schema["start"] == there.schema["end"] == pl.Datetime("us", "America/New_York")
    assert there["start"].dt.convert_time_zone("UTC").dt.replace_time_zone(None).equals(plain["start"])


def test_an_id_that_is_called_as_a_column_of_events_is_refused(tmp_path: Path) -> None:
    table = pl.concat(waves(60).with_columns(pl.lit(name).alias("start")) for name in "xy")
    table.write_csv(tmp_path / "w.csv")
    asked = Asked(columns=dataclasses.replace(COLUMNS, id="start"), context=16, steps=2, settings=SMALL)
    save(task.fit(RECIPE, str(tmp_path / "w.csv"), asked, lambda _: None), tmp_path / "m")
    loaded = sequary.load(tmp_path / "m")
    with pytest.raises(DataError, match="column 'start': the table has a column of this name, which a table of events"):
        loaded.detect(table)


def test_a_saved_detector_is_the_same(fitted: Fitted, saved: Saved) -> None:
    whole, _ = understand(waves().drop("fault"))
    np.testing.assert_array_equal(saved.fitted.scores(whole)[0], fitted.scores(whole)[0])
    assert saved.fitted.threshold.at() == fitted.threshold.at()
    assert saved.fitted.threshold.apart == fitted.threshold.apart


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scales": {}, "channels": ["a"]}, ""),
        ({"threshold": {"heights": [], "steps": 3, "apart": 8}}, "threshold.heights"),
        ({"threshold": {"heights": [0.1, 0.2], "steps": 3, "apart": 8}}, "do not descend"),
        ({"scales": {"x": {"shift": [0.0], "size": [1.0]}}}, "the scales are not those of 2 channels"),
    ],
)
def test_a_broken_contract_is_refused(saved: Saved, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    save(saved.fitted, tmp_path / "m")
    path = tmp_path / "m" / "contract.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    if "channels" in change:
        loaded = sequary.load(tmp_path / "m")
        assert isinstance(loaded, Saved)
        with pytest.raises(ValueError, match="fitted on channels"):
            loaded.fitted.scores(understand(waves().drop("fault"))[0])
        return
    with pytest.raises(SavedError, match=message):
        sequary.load(tmp_path / "m")


def test_what_cannot_be_scored_is_refused(saved: Saved) -> None:
    with pytest.raises(DataError, match="column 'b', which the model was fitted with, is missing"):
        saved.detect(waves().drop("b"))
    with pytest.raises(DataError, match=r"column 'score': the table has a column of this name.*rename it"):
        saved.detect(waves().rename({"fault": "score"}))
    with pytest.raises(ValueError, match="alarms=900 per 1000 steps"):
        saved.detect(waves(), alarms=900)
    with pytest.raises(SavedError, match="use detect"):
        saved.predict(waves())


def test_fit_leaves_the_label_out_and_says_so(tmp_path: Path) -> None:
    waves().with_columns(pl.int_range(pl.len()).mod(7).alias("promo")).write_csv(tmp_path / "w.csv")
    said: list[str] = []
    asked = Asked(columns=COLUMNS, context=16, steps=2, settings=SMALL)
    fitted = task.fit(RECIPE, str(tmp_path / "w.csv"), asked, said.append)
    assert fitted.schema.channels == ("a", "b")
    assert "note: column 'fault' is not learnt from: labels only judge, in compare" in said
    assert "note: covariates are not used to detect: promo" in said
    assert said[-2].endswith("alarms in the 96 held-out steps: 0 at most")
    assert said[-1] == "the score of a row is settled 15 steps later"
    with pytest.raises(ValueError, match="--horizon says nothing to detect models"):
        task.fit(RECIPE, str(tmp_path / "w.csv"), dataclasses.replace(asked, horizon=3), said.append)


def test_who_detects() -> None:
    assert refuses(RECIPE) is None
    other: Any = load("dlinear").recipe
    assert "does not learn scores of anomalies" in str(refuses(other))
    with pytest.raises(ValueError, match="choose a detector"):
        train(other, panel(np.arange(50.0)), Training(seed=0))
    with pytest.raises(ValueError, match="context=1: a window of one step"):
        train(RECIPE, panel(np.arange(50.0)), Training(context=1, seed=0))
    with pytest.raises(ValueError, match="patch=2 does not divide the 15 steps; use 14"):
        train(RECIPE, panel(np.arange(90.0)), Training(context=15, seed=0, steps=1, settings=SMALL))


@pytest.mark.parametrize(
    ("steps", "season", "context"), [(40, 1, 8), (2000, 1, 64), (2000, 288, 248), (9000, 288, 256)]
)
def test_the_window_is_a_multiple_of_eight(steps: int, season: int, context: int) -> None:
    assert default_context(panel(np.zeros(steps), season=season)) == context


def test_a_table_too_short_to_hold_out_learns_from_all() -> None:
    y = np.sin(np.arange(40) / 3)
    fitted = train(RECIPE, panel(y), Training(context=16, seed=0, steps=2, settings=SMALL))
    assert fitted.threshold.steps == 40
