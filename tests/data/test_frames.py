from __future__ import annotations

import datetime as dt
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sequary.cli.tables import readable
from sequary.core.files import OutputError
from sequary.data import texts
from sequary.data.errors import DataError
from sequary.data.frames import like, read, write
from sequary.data.panel import Frequency
from sequary.data.tables import understand

EXPECTED = {"ds": ["2024-01-01", "2024-01-02", "2024-01-03"], "y": [1.5, None, 3.25]}


def saved(tmp_path: Path, content: str | bytes, name: str = "a.csv") -> Path:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path / name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", "ds,y\n2024-01-01,1.5\n2024-01-02,\n2024-01-03,3.25\n"),
        ("windows.csv", "ds,y\r\n2024-01-01,1.5\r\n2024-01-02,NA\r\n2024-01-03,3.25"),
        ("old mac.csv", "ds,y\r2024-01-01,1.5\r2024-01-02,\r2024-01-03,3.25\r"),
        ("bom.csv", "\ufeffds,y\n2024-01-01,1.5\n2024-01-02,null\n2024-01-03,3.25\n"),
        ("quoted.csv", '"ds","y"\n"2024-01-01","1.5"\n"2024-01-02",""\n"2024-01-03","3.25"\n'),
        ("spaces.csv", "ds, y\n2024-01-01, 1.5\n2024-01-02, nan\n2024-01-03, 3.25\n"),
        ("semicolon.csv", "ds;y\n2024-01-01;1.5\n2024-01-02;\n2024-01-03;3.25\n"),
        ("decimal comma.csv", "ds;y\n2024-01-01;1,5\n2024-01-02;\n2024-01-03;3,25\n"),
        ("pipe.csv", "ds|y\n2024-01-01|1.5\n2024-01-02|-\n2024-01-03|3.25\n"),
        ("tabs.tsv", "ds\ty\n2024-01-01\t1.5\n2024-01-02\t\n2024-01-03\t3.25\n"),
    ],
)
def test_dialects_of_delimited_text(tmp_path: Path, name: str, content: str) -> None:
    assert read(saved(tmp_path, content, name)).to_dict(as_series=False) == EXPECTED


def test_quoted_fields_hold_separators_and_line_ends(tmp_path: Path) -> None:
    frame = read(saved(tmp_path, 'ds,shop,y\n2024-01-01,"Main, ""old""\nwing",1\n2024-01-02,b,2\n'))
    assert frame["shop"].to_list() == ['Main, "old"\nwing', "b"]


def test_types_of_text_columns(tmp_path: Path) -> None:
    frame = read(saved(tmp_path, "a,b,c,d,e\n001,1,1.5,x,\n002,2,2e3,1,\n"))
    assert dict(frame.schema) == {"a": pl.String, "b": pl.Int64, "c": pl.Float64, "d": pl.String, "e": pl.String}
    assert frame["a"].to_list() == ["001", "002"]


LONG = "1000000000000000000"


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1.1", "1.10"], pl.String),
        (["1.8", "1.9", "1.10"], pl.String),
        ([f"{LONG}01", f"{LONG}02"], pl.String),
        ([f"{LONG}01", "1.5"], pl.String),
        (["007", "8"], pl.String),
        ([LONG, "-7"], pl.Int64),
        (["1", "1.0", "2.25"], pl.Float64),
        (["12.50", "13.00", "0"], pl.Float64),
        (["1.5", "1.5e10", "20"], pl.Float64),
    ],
)
def test_numbers_that_are_names_stay_as_they_are_written(
    tmp_path: Path, cells: list[str], dtype: type[pl.DataType]
) -> None:
    column = read(saved(tmp_path, "\n".join(["a,b", *(f"{cell},x" for cell in cells)])))["a"]
    assert column.dtype == dtype
    if dtype == pl.String:
        assert column.to_list() == cells
    assert column.cast(pl.Float64).to_list() == [float(cell) for cell in cells]


def test_a_saved_pandas_index_is_no_covariate(tmp_path: Path) -> None:
    frame = pd.DataFrame({"ds": pd.date_range("2024", periods=3), "y": [1.0, 2, 3]})
    frame.to_csv(tmp_path / "a.csv")
    panel, understood = understand(read(tmp_path / "a.csv"))
    assert panel.past == ()
    assert "note: column 'index' is not used: it only counts the rows" in understood.lines()
    frame.set_index("ds").rename_axis(None).to_csv(tmp_path / "b.csv")
    assert understand(read(tmp_path / "b.csv"))[0].time_name == "index"


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather", ".csv", ".tsv"])
def test_write_and_read_back(tmp_path: Path, suffix: str) -> None:
    frame = pl.DataFrame(
        {"ds": [dt.datetime(2024, 1, 1, h) for h in range(3)], "y": [1.5, None, 2.0], "id": list("abc")}
    )
    write(frame, tmp_path / f"a{suffix}")
    back = read(tmp_path / f"a{suffix}")
    if back["ds"].dtype == pl.String:
        assert back["ds"].to_list() == ["2024-01-01 00:00:00", "2024-01-01 01:00:00", "2024-01-01 02:00:00"]
        back = back.with_columns(pl.col("ds").str.to_datetime())
    assert back.equals(frame)
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]


def test_dates_are_written_as_dates(tmp_path: Path) -> None:
    write(pl.DataFrame({"ds": [dt.datetime(2024, 1, 31), dt.datetime(2024, 2, 29)]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "ds\n2024-01-31\n2024-02-29\n"
    write(pl.DataFrame({"ds": [dt.datetime(2024, 1, 31, 0, 0, 0, 500)]}), tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == "ds\n2024-01-31 00:00:00.000500\n"


def test_write_refuses(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1]})
    with pytest.raises(DataError, match=r"no table type has the suffix '\.docx'; end it in one of \.csv"):
        write(frame, tmp_path / "a.docx")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"its parent .* is a file"):
        write(frame, tmp_path / "file" / "a.csv")


COLUMNS = {
    "unique_id": [7, 7, 8],
    "ds": [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2), dt.datetime(2024, 1, 1)],
    "y": [1.5, None, 2.0],
    "shop": ["a", None, "b"],
    "open": [True, False, True],
}


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.table])
def test_dataframes_in_and_the_same_type_out(kind: type) -> None:
    given = kind(COLUMNS)
    frame = read(given)
    assert frame.to_dict(as_series=False) == COLUMNS
    forecast = pl.DataFrame({"unique_id": ["7", "8"], "ds": [dt.datetime(2024, 1, 3)] * 2, "y": [0.5, 0.25]})
    back = like(given, forecast)
    assert type(back) is type(given)
    assert read(back).to_dict(as_series=False) == {
        "unique_id": [7, 8],
        "ds": [dt.datetime(2024, 1, 3)] * 2,
        "y": [0.5, 0.25],
    }


def test_a_forecast_of_integers_is_not_rounded() -> None:
    given = pl.DataFrame({"ds": [1, 2], "y": [3, 4]})
    assert like(given, pl.DataFrame({"ds": [3], "y": [4.5]}))["y"].to_list() == [4.5]


def test_pandas_types(tmp_path: Path) -> None:
    frame = read(
        pd.DataFrame(
            {
                "ds": pd.date_range("2024-06-01 12:00", periods=3, tz="Europe/Berlin"),
                "offset": pd.to_datetime(["2024-01-01T00:00+01:00"] * 3),
                "kind": pd.Categorical(["x", "y", "x"]),
                "count": pd.array([1, None, 2], dtype="Int64"),
                "mixed": [1, "a", None],
                "y": [1.0, float("nan"), 2.0],
            }
        )
    )
    assert frame["ds"].dt.convert_time_zone("UTC").dt.hour().to_list() == [10, 10, 10]
    assert frame["offset"].dt.convert_time_zone("UTC").dt.hour().to_list() == [23, 23, 23]
    assert frame.select("kind", "count", "mixed", "y").to_dict(as_series=False) == {
        "kind": ["x", "y", "x"],
        "count": [1, None, 2],
        "mixed": ["1", "a", None],
        "y": [1.0, None, 2.0],
    }


def test_pandas_periods_and_dates_as_text() -> None:
    period = pd.DataFrame({"month": pd.period_range("2024-01", periods=3, freq="M"), "y": [1, 2, 3]})
    assert read(period)["month"].to_list() == ["2024-01", "2024-02", "2024-03"]
    text = pd.DataFrame({"ds": ["2024-01-01", "2024-01-02"], "y": [1.0, 2.0]})
    days = pl.DataFrame({"ds": [dt.datetime(2024, 1, 3), dt.datetime(2024, 1, 4)]})
    assert like(text, days)["ds"].tolist() == ["2024-01-03", "2024-01-04"]
    hours = pl.DataFrame({"ds": [dt.datetime(2024, 1, 3, 1)]})
    assert like(text, hours)["ds"].tolist() == ["2024-01-03 01:00:00"]


def test_pandas_is_read_without_pyarrow() -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import pandas as pd; from sequary.data.frames import like, read\n"
        "df = pd.DataFrame({'ds': pd.date_range('2024', periods=2, tz='Asia/Tokyo'), 'id': ['a', None], 'y': [1, 2]})\n"
        "print(read(df).shape, type(like(df, read(df))).__module__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "(2, 3) pandas.core.frame\n", done.stderr


@pytest.mark.parametrize("start", ["2024-03-29 00:00", "2024-03-29 06:00"])
def test_zones_come_back(start: str) -> None:
    """Berlin's summer time begins on 31 March: days stay local days, other moments go through UTC."""
    given = pd.DataFrame({"ds": pd.date_range(start, periods=6, tz="Europe/Berlin"), "y": range(6)})
    hourly = pd.DataFrame({"ds": pd.date_range(start, periods=60, freq="h", tz="Europe/Berlin"), "y": range(60)})
    for frame in (hourly, given) if start.endswith("00:00") else (hourly,):
        panel, understood = understand(read(frame))
        assert understood.gaps == 0
        assert any("Europe/Berlin" in note for note in understood.notes)
        back = like(frame, pl.DataFrame({"ds": panel.series[0].times}))
        assert back["ds"].tolist() == frame["ds"].tolist()


def ahead(source: object, steps: int) -> Any:
    """The next times of a table's first series, as a table like it."""
    panel, _ = understand(read(source))
    times = panel.frequency.extend(panel.series[0].times[-1], steps)
    return like(source, pl.DataFrame({panel.time_name: times, "y": [0.5] * steps}))


@pytest.mark.parametrize("zone", ["America/New_York", "UTC+01:00", "UTC+05:30", "Etc/GMT+5", "America/Port-au-Prince"])
@pytest.mark.parametrize("unit", ["s", "ns"])
def test_zones_of_pandas(zone: str, unit: str) -> None:
    """New York's summer time ends within these hours."""
    times = pd.date_range("2024-11-02 08:00", periods=40, freq="h", tz=zone).as_unit(unit)
    given = pd.DataFrame({"ds": times[:30], "y": range(30)})
    assert read(given)["ds"].dt.epoch("s").to_list() == [t.timestamp() for t in times[:30]]
    found = ahead(given, 10)["ds"]
    assert found.dtype == given["ds"].dtype
    assert found.tolist() == times[30:].tolist()


@pytest.mark.parametrize(
    ("start", "zone", "days"),
    [
        ("2024-05-01 08:00", "America/Chicago", 220),
        ("2024-01-02 02:30", "America/Chicago", 60),
        ("2024-06-01", "America/Santiago", 90),
        ("2024-06-01", "America/Santiago", 101),
        ("2024-06-01", "America/Santiago", 400),
    ],
)
def test_days_at_a_local_time_go_on_at_it(start: str, zone: str, days: int) -> None:
    """Chicago has no 02:30 on 2024-03-10, Santiago no midnight on 2024-09-08: these days have the next moment there is."""
    local = pd.date_range(start, periods=days + 20, freq="D").tz_localize(zone, nonexistent="shift_forward")
    given = pd.DataFrame({"ds": local[:days], "y": range(days)})
    _, understood = understand(read(given))
    assert understood.gaps == 0
    assert not any("beside the grid" in note for note in understood.notes)
    assert ahead(given, 20)["ds"].tolist() == local[days:].tolist()


def test_a_single_row_may_be_one_of_hours() -> None:
    """Its hours go on through the end of New York's summer time, when 01:00 stands twice."""
    moments = pl.Series("ds", [dt.datetime(2024, 11, 3, hour) for hour in (5, 6, 7)]).dt.replace_time_zone("UTC")
    given = pl.DataFrame({"ds": moments[:1].dt.convert_time_zone("America/New_York"), "y": [1.0]})
    panel, _ = understand(read(given), frequency=Frequency("1h", 24))
    after = pl.DataFrame({"ds": panel.frequency.extend(panel.series[0].times[-1], 2)})
    assert like(given, after)["ds"].dt.convert_time_zone("UTC").to_list() == moments[1:].to_list()


@pytest.mark.parametrize(
    ("times", "after"),
    [
        ([20240130, 20240131], 20240201),
        ([202311, 202312], 202401),
        ([1_700_000_000, 1_700_003_600], 1_700_007_200),
        ([1_700_000_000_000, 1_700_000_000_500], 1_700_000_001_000),
        ([5, 7], 9),
    ],
)
def test_whole_numbers_come_back_as_such(times: list[int], after: int) -> None:
    for given in (pd.DataFrame({"ds": times, "y": [1.0, 2.0]}), pl.DataFrame({"ds": times, "y": [1.0, 2.0]})):
        assert ahead(given, 1)["ds"].to_list() == [after]
    assert ahead(pl.DataFrame({"ds": times, "y": [1, 2]}, schema_overrides={"ds": pl.Float64}), 1)["ds"].to_list() == [
        after
    ]


def test_zones_of_files_come_back(tmp_path: Path) -> None:
    hours = pl.datetime_range(
        dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2), "1h", time_zone="America/New_York", eager=True
    )
    write(pl.DataFrame({"ds": hours, "y": range(25)}), tmp_path / "a.parquet")
    found = ahead(tmp_path / "a.parquet", 1)
    assert found["ds"].dtype == pl.Datetime("us", "America/New_York")
    assert readable(found)["ds"].to_list() == ["2024-01-02 01:00:00-05:00"]
    text = "ds,y\n2024-01-31T22:00{0},1\n2024-01-31T23:00{0},2\n"
    for offset, said in (("+01:00", "2024-02-01 00:00:00+01:00"), ("-0330", "2024-02-01 03:30:00+00:00")):
        path = saved(tmp_path, text.format(offset))
        assert readable(ahead(path, 2))["ds"].to_list()[0] == said
    assert readable(ahead(saved(tmp_path, text.format("")), 2))["ds"].to_list()[0] == "2024-02-01 00:00:00"
    days = saved(tmp_path, "ds,y\n2024-01-30T00:00+01:00,1\n2024-01-31T00:00+01:00,2\n")
    assert readable(ahead(days, 1))["ds"].to_list() == ["2024-02-01"]


def test_offsets_of_text_come_back() -> None:
    given = pd.DataFrame({"ds": ["2024-01-31T22:00-03:30", "2024-01-31T23:00-03:30"], "y": [1.0, 2.0]})
    assert ahead(given, 1)["ds"].tolist() == ["2024-02-01 00:00:00-03:30"]


def test_zones_are_written_as_offsets_that_are_read_again(tmp_path: Path) -> None:
    """In New York 01:00 stands twice on 2024-11-03, and a column of text has one offset: it is written in UTC."""
    hours = pl.datetime_range(
        dt.datetime(2024, 11, 2, 20), dt.datetime(2024, 11, 3, 8), "1h", time_zone="America/New_York", eager=True
    )
    for some, first in ((hours, "2024-11-03 00:00:00+00:00"), (hours[:4], "2024-11-02 20:00:00-04:00")):
        frame = pl.DataFrame({"ds": some, "y": range(len(some))})
        write(frame, tmp_path / "a.csv")
        back = read(tmp_path / "a.csv")
        assert back["ds"].to_list() == readable(frame)["ds"].to_list()
        assert back["ds"][0] == first
        utc = some.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        assert understand(back)[0].series[0].times.tolist() == utc.to_list()


def test_days_of_a_zone_are_written_as_dates() -> None:
    days = pl.datetime_range(dt.datetime(2024, 9, 7), dt.datetime(2024, 9, 9), "1d", eager=True)
    here = pl.Series("ds", [days[0], dt.datetime(2024, 9, 8, 1), days[2]]).dt.replace_time_zone("America/Santiago")
    assert readable(pl.DataFrame({"ds": here}))["ds"].to_list() == ["2024-09-07", "2024-09-08", "2024-09-09"]


def test_times_below_a_second_are_kept() -> None:
    given = pl.DataFrame({"ds": [f"2024-01-01 00:00:00.{tenth}" for tenth in range(3)], "y": [1.0, 2.0, 3.0]})
    found = ahead(given, 2)
    assert found["ds"].to_list() == ["2024-01-01 00:00:00.300000", "2024-01-01 00:00:00.400000"]
    moments = pl.DataFrame({"ds": [dt.datetime(2024, 1, 1, 0, 0, 0, us) for us in (0, 200_000)]})
    assert readable(moments)["ds"].to_list() == ["2024-01-01 00:00:00.000000", "2024-01-01 00:00:00.200000"]


def test_no_torch() -> None:
    program = "import sys, sequary.data.tables, sequary.data.frames, sequary.data.texts; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_narwhals_frames_are_taken_too() -> None:
    assert read(nw.from_native(pl.DataFrame({"a": [1]}))).to_dict(as_series=False) == {"a": [1]}


def test_texts(tmp_path: Path) -> None:
    path = saved(tmp_path, "abc" * 500, "a.txt")
    assert bytes(texts.read_text(path)) == path.read_bytes()
    assert [texts.is_text(name) for name in ("a.txt", "b.md", "c.py", "d", "e.CSV", "f.parquet")] == [True] * 4 + [
        False
    ] * 2


def test_demonstration_data_are_packaged() -> None:
    frame = read(Path(str(files("sequary.data") / "demo" / "co2.csv")))
    assert frame.shape == (2284, 2)
    assert frame["co2"].null_count() == 59
