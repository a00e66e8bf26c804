from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sequary.data.errors import DataError
from sequary.data.frames import read
from sequary.data.panel import Frequency
from sequary.data.roles import Columns
from sequary.data.tables import understand

DATA = Path(os.environ.get("SEQUARY_DATA", Path(__file__).parents[2] / "../shared/data"))
MONDAY = dt.datetime(2024, 1, 1)


def moments(every: str, n: int) -> pl.Series:
    return pl.concat([pl.Series("ds", [MONDAY]).dt.offset_by(f"{i}{every}") for i in range(n)])


def one(times: Sequence[object] | pl.Series, **columns: Sequence[object]) -> pl.DataFrame:
    ds = pl.Series("ds", times)
    return pl.DataFrame({"ds": ds, "y": np.arange(len(ds)) + 0.5, **columns})


def long(**columns: Sequence[object]) -> pl.DataFrame:
    return pl.DataFrame(columns)


@pytest.mark.parametrize(
    ("step", "n", "every", "season"),
    [
        ("s", 4000, "1s", 3600),
        ("m", 1500, "1m", 1440),
        ("m", 500, "1m", 60),
        ("h", 60, "1h", 24),
        ("h", 20, "1h", 1),
        ("d", 30, "1d", 7),
        ("w", 60, "1w", 52),
        ("mo", 30, "1mo", 12),
        ("q", 30, "1q", 4),
        ("y", 30, "1y", 1),
    ],
)
def test_frequency_and_season(step: str, n: int, every: str, season: int) -> None:
    times = moments(step, n)
    panel, understood = understand(one(times))
    assert panel.frequency == Frequency(every=every, season=season, day=1 if step in ("mo", "q", "y") else None)
    assert understood.gaps == 0
    assert (panel.series[0].times == times.to_numpy()).all()


@pytest.mark.parametrize(
    ("step", "every", "season"),
    [("15m", "15m", 96), ("30m", "30m", 48), ("5m", "5m", 288), ("7m", "7m", 1), ("6h", "6h", 4), ("2w", "2w", 26)],
)
def test_multiples_of_units(step: str, every: str, season: int) -> None:
    times = pl.datetime_range(MONDAY, MONDAY + dt.timedelta(days=900), step, eager=True)[:400]
    assert understand(one(times))[0].frequency == Frequency(every=every, season=season)


def test_integer_time() -> None:
    panel, understood = understand(one([10, 15, 20, 30]))
    assert panel.frequency == Frequency(every="5i", season=1)
    assert panel.series[0].times.tolist() == [10, 15, 20, 25, 30]
    assert panel.series[0].times.dtype == np.int64
    assert (understood.start, understood.end, understood.gaps) == ("10", "30", 1)


def test_month_ends_stay_month_ends() -> None:
    times = [dt.datetime(2024, 1, 31), dt.datetime(2024, 2, 29), dt.datetime(2024, 4, 30), dt.datetime(2024, 5, 31)]
    series = understand(one(times))[0].series[0]
    assert [str(t)[:10] for t in series.times] == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"]
    assert np.isnan(series.values[2, 0])


def test_month_ends_that_are_mostly_thirtieths() -> None:
    ends = ["2024-04-30", "2024-05-31", "2024-06-30"]
    series = understand(one(ends))[0].series[0]
    assert [str(t)[:10] for t in series.times] == ends


@pytest.mark.parametrize(
    ("times", "ahead"),
    [
        (["2024-02-29", "2024-03-30", "2024-04-30"], ["2024-05-30", "2024-06-30", "2024-07-30"]),
        (["2024-12-30", "2025-01-30", "2025-02-28"], ["2025-03-30", "2025-04-30", "2025-05-30"]),
        (["2024-12-28", "2025-01-28", "2025-02-28"], ["2025-03-28", "2025-04-28", "2025-05-28"]),
        (["2023-12-31", "2024-01-31", "2024-02-29"], ["2024-03-31", "2024-04-30", "2024-05-31"]),
        (["2024-03-31", "2024-06-30", "2024-09-30"], ["2024-12-31", "2025-03-31", "2025-06-30"]),
        (
            ["2023-01-15 06:00", "2024-01-15 06:00", "2025-01-15 06:00"],
            ["2026-01-15T06", "2027-01-15T06", "2028-01-15T06"],
        ),
    ],
)
def test_months_go_on_at_the_day_of_all_rows(times: list[str], ahead: list[str]) -> None:
    panel, _ = understand(one(times))
    assert panel.frequency.extend(panel.series[0].times[-1], 3).tolist() == np.array(ahead, "M8[us]").tolist()


def test_new_rows_on_a_short_month_keep_the_day_of_an_earlier_panel() -> None:
    known = understand(one(["2023-12-30", "2024-01-30"]))[0].frequency
    panel, _ = understand(one(["2024-02-29"]), frequency=known)
    assert [str(t)[:10] for t in panel.frequency.extend(panel.series[0].times[-1], 2)] == ["2024-03-30", "2024-04-30"]
    others, _ = understand(one(["2024-03-01", "2024-04-01"]), frequency=known)
    assert [str(t)[:10] for t in others.series[0].times] == ["2024-03-01", "2024-04-01"]


def test_first_business_days_are_months() -> None:
    first = [dt.datetime(2024, m, d) for m, d in enumerate((1, 1, 1, 1, 1, 3, 1, 1, 2, 1, 1, 2), 1)]
    panel, understood = understand(one(first))
    assert panel.frequency.every == "1mo"
    assert "note: 3 row(s) stood beside the grid of 1mo and moved to its nearest step" in understood.lines()


def test_four_weeks_are_no_month() -> None:
    assert understand(one([MONDAY + dt.timedelta(days=28 * i) for i in range(20)]))[0].frequency.every == "4w"


def test_business_days_are_said() -> None:
    days = pl.date_range(dt.date(2024, 1, 1), dt.date(2024, 3, 1), "1d", eager=True)
    panel, understood = understand(one(days.filter(days.dt.weekday() <= 5)))
    assert panel.frequency == Frequency(every="1d", season=7)
    assert understood.gaps == 16
    assert "business days only: on the daily grid every weekend is a gap, masked and not filled" in str(understood)


def test_gaps_become_missing_rows_and_nothing_is_closed_up() -> None:
    times = [MONDAY + dt.timedelta(hours=h) for h in (0, 1, 2, 5, 6, 7, 8)]
    panel, understood = understand(one(times))
    assert panel.series[0].values[:, 0].tolist()[:3] == [0.5, 1.5, 2.5]
    assert np.isnan(panel.series[0].values[3:5]).all()
    assert panel.series[0].values[5:, 0].tolist() == [3.5, 4.5, 5.5, 6.5]
    assert (understood.gaps, understood.missing, understood.rows) == (2, 0, 7)


def test_unsorted_rows_are_sorted_and_counted() -> None:
    frame = one([MONDAY + dt.timedelta(days=d) for d in range(40)])
    shuffled = frame[np.random.default_rng(0).permutation(40)]
    panel, understood = understand(shuffled)
    assert panel.series[0].values[:, 0].tolist() == frame["y"].to_list()
    assert understood.unsorted > 0
    assert understand(frame)[1].unsorted == 0


def test_jitter_is_moved_to_the_grid_and_said() -> None:
    times = [MONDAY + dt.timedelta(minutes=5 * i, seconds={0: 2, 7: 4, 19: -4}.get(i, 0)) for i in range(40)]
    panel, understood = understand(one(times))
    assert len(panel.series[0]) == 40
    assert panel.series[0].times[0] == np.datetime64("2024-01-01")
    assert panel.series[0].values[19, 0] == 19.5
    assert "note: 3 row(s) stood beside the grid of 5m and moved to its nearest step" in understood.lines()


def test_each_series_has_its_own_phase() -> None:
    ds = [MONDAY + dt.timedelta(hours=h, minutes=m) for m in (0, 30) for h in range(5)]
    panel, understood = understand(long(unique_id=["a"] * 5 + ["b"] * 5, ds=ds, y=list(range(10))))
    assert [len(s) for s in panel.series] == [5, 5]
    assert str(panel.series[1].times[0]) == "2024-01-01T00:30:00.000000"
    assert understood.notes == ()


@pytest.mark.parametrize(
    "names", [("unique_id", "ds", "y"), ("item_id", "timestamp", "target"), ("series_id", "date", "sold")]
)
def test_long_layouts(names: tuple[str, str, str]) -> None:
    id, ds, y = names
    frame = long(**{id: ["b", "a", "b", "a"], ds: [1, 1, 2, 2], y: [1.0, 2.0, 3.0, None]})
    panel, understood = understand(frame)
    assert (panel.layout, panel.id_name, panel.time_name, panel.channels) == ("long", id, ds, (y,))
    assert [s.id for s in panel.series] == ["b", "a"]
    assert panel.series[0].values.tolist() == [[1.0], [3.0]]
    assert (understood.series, understood.missing) == (2, 1)


def test_declared_names() -> None:
    frame = long(shop=[7, 7, 8, 8], at=[1, 2, 1, 2], made=[5, 6, 7, 8], sold=[1, 2, 3, 4])
    panel, _ = understand(frame, columns=Columns(time="at", id="shop", target=("sold", "made")))
    assert [s.id for s in panel.series] == ["7", "8"]
    assert panel.series[1].values.tolist() == [[3, 7], [4, 8]]
    with pytest.raises(DataError, match="there is no column 'solt'; the file has sold"):
        understand(frame, columns=Columns(time="at", target=("solt",)))
    with pytest.raises(DataError, match="'at': the column is declared twice; give it one role"):
        understand(frame, columns=Columns(time="at", target=("at",)))


def test_wide_layout() -> None:
    frame = pl.DataFrame({"date": moments("d", 5), "load": range(5), "heat": [1.5] * 4 + [None], "kind": list("aabba")})
    panel, understood = understand(frame)
    assert (panel.layout, panel.channels, panel.past) == ("wide", ("load", "heat"), ("kind",))
    assert panel.series[0].id == "all"
    assert panel.categories == {"kind": ("a", "b")}
    assert panel.series[0].past[:, 0].tolist() == [0, 0, 1, 1, 0]
    assert (understood.missing, understood.constant) == (1, ("heat",))
    chosen, _ = understand(frame, columns=Columns(target=("heat",)))
    assert (chosen.channels, chosen.past, chosen.series[0].id) == (("heat",), ("load", "kind"), "heat")
    assert understand(frame.rename({"load": "y"}))[0].channels == ("y",)


COVARIATES = long(
    unique_id=["a"] * 4 + ["b"] * 4,
    ds=[1, 2, 3, 4] * 2,
    y=[1.0, 2, 3, 4, 5, 6, 7, 8],
    region=["north"] * 4 + ["south", None, "south", "south"],
    size=[10] * 4 + [20] * 4,
    price=[1.0, 1, 2, 2, 3, 3, 3, None],
    promo=[False, True, False, False, True, True, False, False],
    weather=["sun", "rain", None, "sun", "fog", "sun", "rain", "rain"],
)


def test_covariates_found_by_rule() -> None:
    panel, understood = understand(COVARIATES)
    assert (panel.static, panel.past, panel.future) == (("region", "size"), ("price", "promo", "weather"), ())
    assert panel.categories == {"region": ("north", "south"), "weather": ("fog", "rain", "sun")}
    np.testing.assert_equal(panel.series[1].static, [1.0, 20.0])
    np.testing.assert_equal(panel.series[0].past, [[1, 0, 2], [1, 1, 1], [2, 0, np.nan], [2, 0, 2]])
    lines = understood.lines()
    assert "static covariate: 'region', 2 categories (constant within every series)" in lines
    assert (
        "past covariate: 'price' (it varies, and is not assumed to be known beforehand; "
        "if it is, declare --future price)" in lines
    )


def test_declared_covariates() -> None:
    panel, understood = understand(COVARIATES, columns=Columns(future=("promo",), past=("size",)))
    assert (panel.static, panel.past, panel.future) == (("region",), ("size", "price", "weather"), ("promo",))
    assert "future covariate: 'promo' (as declared)" in understood.lines()
    with pytest.raises(
        DataError, match="row 2, column 'price': declared static, but it changes within its series here"
    ):
        understand(COVARIATES, columns=Columns(static=("price",)))


def test_rows_beyond_the_last_target_extend_the_future() -> None:
    frame = long(
        unique_id=["a"] * 5 + ["b"] * 3,
        ds=[1, 2, 3, 4, 5, 1, 2, 3],
        y=[1.0, None, 3, None, None, 4, 5, None],
        promo=[0, 1, 0, 1, 1, 0, 0, 1],
        price=[9.0, 9, 9, 8, 8, 7, 6, 5],
    )
    panel, understood = understand(frame, columns=Columns(future=("promo",)))
    a, b = panel.series
    assert (len(a), len(a.times), len(a.past), len(a.future)) == (3, 3, 3, 5)
    assert a.future[:, 0].tolist() == [0, 1, 0, 1, 1]
    assert (len(b), len(b.future)) == (2, 3)
    assert (understood.ahead, understood.missing) == (3, 1)
    assert "ahead: 3 rows of future covariates beyond the last target" in understood.lines()
    undeclared, said = understand(frame)
    assert [len(s) for s in undeclared.series] == [5, 3]
    assert any(note.startswith("2 series end in rows without a target") for note in said.notes)


def test_new_rows_keep_the_codes_of_an_earlier_panel() -> None:
    new = COVARIATES.filter(pl.col("ds") == 4).with_columns(weather=pl.Series(["hail", "sun"]))
    known = {"weather": ("fog", "rain", "sun"), "region": ("north", "south")}
    panel, _ = understand(
        new, categories=known, frequency=Frequency(every="1i", season=1), columns=Columns(past=("weather",))
    )
    assert [s.past[0, 0] for s in panel.series] == [3.0, 2.0]
    assert panel.categories == known
    with pytest.raises(
        DataError, match="column 'ds': the step should be 1h; give times of the kind that the model was"
    ):
        understand(new, frequency=Frequency(every="1h", season=24))


def test_series_much_sparser_than_the_grid_are_said() -> None:
    ds = [MONDAY + dt.timedelta(hours=h) for h in range(48)] + [MONDAY + dt.timedelta(days=d) for d in range(9)]
    _, understood = understand(long(unique_id=["hourly"] * 48 + ["daily"] * 9, ds=ds, y=list(range(57))))
    assert "1 series with a row at fewer than a third of the grid's steps, such as 'daily'" in understood.notes


def test_columns_that_are_no_use_are_said() -> None:
    n = 3000
    extra = {"comment": [f"text {i}" for i in range(n)], "empty": [None] * n, "id": range(n), "list": [[1]] * n}
    panel, understood = understand(one(moments("d", n), **extra))
    assert panel.past == panel.static == ()
    assert understood.notes == (
        "column 'comment' is not used: 3,000 distinct texts are no categories",
        "column 'empty' is not used: it is empty",
        "column 'id' is not used: it only counts the rows",
        "column 'list' is not used: List(Int64) is neither a number nor a category",
    )


@pytest.mark.parametrize(
    ("texts", "first", "second"),
    [
        (["2024-01-31", "2024-02-01", "2024-02-02"], "2024-01-31", "2024-02-01"),
        (["2024/01/31", "2024/02/01", "2024/02/02"], "2024-01-31", "2024-02-01"),
        (["31/01/2024", "01/02/2024", "02/02/2024"], "2024-01-31", "2024-02-01"),
        (["01/31/2024", "02/01/2024", "02/02/2024"], "2024-01-31", "2024-02-01"),
        (["31.01.2024", "01.02.2024", "02.02.2024"], "2024-01-31", "2024-02-01"),
        (["2024-01-31T23:00:00Z", "2024-02-01T00:00:00Z"], "2024-01-31T23", "2024-02-01T00"),
        (["2024-01-31T23:00+01:00", "2024-02-01T00:00+01:00"], "2024-01-31T22", "2024-01-31T23"),
        (["2024-01-31 23:00:00.5", "2024-02-01 00:00:00.5"], "2024-01-31T23:00:00.500", "2024-02-01T00:00:00.500"),
        (["1/31/2024 11:00 PM", "2/1/2024 12:00 AM"], "2024-01-31T23", "2024-02-01T00"),
        (["2024-01", "2024-02", "2024-03"], "2024-01-01", "2024-02-01"),
        (["2024Q1", "2024Q2", "2024Q3"], "2024-01-01", "2024-04-01"),
        (["2024-01-31", "2024-01-31 12:00", "2024-02-01"], "2024-01-31", "2024-01-31T12"),
    ],
)
def test_common_forms_of_dates(texts: list[str], first: str, second: str) -> None:
    panel, _ = understand(one(texts))
    assert panel.series[0].times[0] == np.datetime64(first)
    assert panel.series[0].times[1] == np.datetime64(second)


@pytest.mark.parametrize(
    ("numbers", "every", "first"),
    [
        ([20240131, 20240201, 20240202], "1d", "2024-01-31"),
        ([202312, 202401, 202402], "1mo", "2023-12-01"),
        ([1_700_000_000, 1_700_003_600, 1_700_007_200], "1h", "2023-11-14T22:13:20"),
        ([1_700_000_000_000, 1_700_003_600_000], "1h", "2023-11-14T22:13:20"),
    ],
)
def test_dates_written_as_whole_numbers(numbers: list[int], every: str, first: str) -> None:
    panel, understood = understand(one(numbers))
    assert panel.frequency.every == every
    assert panel.series[0].times[0] == np.datetime64(first)
    assert "read as" in understood.notes[0]


def test_conversion_to_utc_is_said() -> None:
    _, understood = understand(one(["2024-01-31T23:00+01:00", "2024-02-01T00:00+01:00"]))
    assert understood.notes == ("times were converted from offset +01:00 to UTC",)


def test_midnights_at_an_offset_stay_days() -> None:
    panel, understood = understand(one(["2024-01-31T00:00+01:00", "2024-02-01T00:00+01:00"]))
    assert panel.series[0].times[0] == np.datetime64("2024-01-31")
    assert understood.notes == ("times are midnights at offset +01:00, kept as its calendar days",)


def test_understanding_of_the_demonstration_data() -> None:
    path = Path(str(files("sequary.data") / "demo" / "co2.csv"))
    panel, understood = understand(read(path), source="co2.csv")
    assert str(understood) == (
        "co2.csv: 2,284 rows, wide, 1 series, 2,284 steps\n"
        "target: co2\n"
        "time: column 'date', weekly (1w), season 52, 1958-03-29 to 2001-12-29\n"
        "gaps: none; missing values: 59 targets (2.6%)"
    )
    assert np.isnan(panel.series[0].values).sum() == 59
    known = json.loads(json.dumps(understood.as_dict()))
    assert (known["frequency"], known["season"], known["lengths"]) == ("1w", 52, [2284, 2284, 2284])


@pytest.mark.parametrize(
    ("name", "every", "steps", "gaps"),
    [
        ("ett/ETTh1.csv", "1h", 17_420, 0),
        ("nab/nyc_taxi.csv", "30m", 10_320, 0),
        ("nab/rogue_agent_key_hold.csv", "5m", 5_338, 3_456),
    ],
)
def test_real_files(name: str, every: str, steps: int, gaps: int) -> None:
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not beside the repository (set SEQUARY_DATA)")
    panel, understood = understand(read(DATA / name))
    assert (panel.frequency.every, len(panel.series[0]), understood.gaps) == (every, steps, gaps)


@pytest.mark.parametrize("ids", [("1.1", "1.10"), ("10000000000000000001", "10000000000000000002"), ("7", "007")])
def test_ids_of_a_text_file_are_those_of_the_file(tmp_path: Path, ids: tuple[str, str]) -> None:
    rows = [f"{id},{day},{day}.5" for id in ids for day in range(5)]
    (tmp_path / "a.csv").write_text("\n".join(["unique_id,t,y", *rows]))
    panel, understood = understand(read(tmp_path / "a.csv"))
    assert tuple(s.id for s in panel.series) == ids
    assert [len(s) for s in panel.series] == [5, 5]
    assert understood.duplicates == 0


def test_measurements_with_uneven_zeros_are_numbers_and_no_times(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("date,price,y\n2024-01-01,1.10,1234.5\n2024-01-02,1.1,1234.50\n2024-01-03,2,1235\n")
    panel, _ = understand(read(tmp_path / "a.csv"))
    assert (panel.time_name, panel.channels, panel.past, panel.categories) == ("date", ("y",), ("price",), {})
    assert panel.series[0].values[:, 0].tolist() == [1234.5, 1234.5, 1235]
    assert panel.series[0].past[:, 0].tolist() == [1.1, 1.1, 2]


def test_the_names_of_a_wide_table_are_gathered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Columns] = []
    plain = Columns.names
    monkeypatch.setattr(Columns, "names", lambda self: calls.append(self) or plain(self))
    targets = tuple(f"c{i}" for i in range(200))
    frame = pl.DataFrame({"t": range(3), **{name: [1.0, 2.0, 3.0] for name in (*targets, *"abc")}})
    panel, _ = understand(frame, columns=Columns(target=targets))
    assert (panel.channels, panel.past) == (targets, ("a", "b", "c"))
    assert len(calls) < 10


def test_a_million_rows_in_seconds(tmp_path: Path) -> None:
    series, steps = 1000, 1000
    ds = pl.Series(
        np.tile(np.datetime64("2024-01-01", "ms") + np.arange(steps) * np.timedelta64(3_600_000, "ms"), series)
    )
    ids = np.repeat(np.array([f"s{i}" for i in range(series)]), steps)
    frame = pl.DataFrame({"unique_id": ids, "ds": ds, "y": np.arange(series * steps) % 97 / 8})
    frame.write_csv(tmp_path / "a.csv", datetime_format="%Y-%m-%d %H:%M:%S")
    began = time.process_time()
    panel, _ = understand(read(tmp_path / "a.csv"), source="a.csv")
    assert time.process_time() - began < 20  # 2.5 s on two idle cores; a Python loop over rows takes minutes
    assert len(panel.series) == series
    stacked = np.concatenate([s.values[:, 0] for s in panel.series])
    assert (stacked == frame["y"].to_numpy()).all()
