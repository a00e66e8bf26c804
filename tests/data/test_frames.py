from __future__ import annotations

import datetime as dt
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import narwhals as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sequary.core.files import OutputError
from sequary.data import texts
from sequary.data.errors import DataError
from sequary.data.frames import like, read, write
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
