"""Every kind of bad input is refused in one line that names the file, the place and the mend; each line is read here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sequary.data.errors import DataError, Source
from sequary.data.frames import read
from sequary.data.grid import lay
from sequary.data.tables import check_lengths, understand
from sequary.data.texts import read_text

Save = Callable[..., Path]
HOURLY = [f"2024-01-01 {hour:02}:00:00" for hour in range(8)]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(content: str | bytes, name: str = "sales.csv") -> Path:
        raw = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(raw)
        return tmp_path / name

    return write


def refused(source: object) -> str:
    """The message, less the folder; one line."""
    with pytest.raises(DataError) as caught:
        understand(read(source), source=str(source) if isinstance(source, Path) else "dataframe")
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.mend in message
    return message.replace(f"{source.parent}/", "") if isinstance(source, Path) else message


def table(*rows: str, header: str = "ds,y") -> str:
    return "\n".join([header, *rows]) + "\n"


def with_cell(at: int, y: str) -> str:
    return table(*(f"{ds},{y if i == at else i + 0.5}" for i, ds in enumerate(HOURLY)))


def test_empty_file(save: Save) -> None:
    assert refused(save("")) == "sales.csv: the file is empty (0 bytes); write it again, or name another file"
    assert "blank lines only" in refused(save("\n\n  \n"))
    assert "there is a header, but no row" in refused(save("ds,y\n"))
    assert "every cell is empty" in refused(save("ds,y\n,\n,\n"))


def test_zero_byte_and_truncated_parquet(save: Save, tmp_path: Path) -> None:
    assert refused(save(b"", "a.parquet")).startswith("a.parquet: the file is empty (0 bytes)")
    pl.DataFrame({"ds": range(5000), "y": np.arange(5000.0)}).write_parquet(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    for size in (3, len(whole) // 2, len(whole) - 3):
        message = refused(save(whole[:size], "cut.parquet"))
        assert message.startswith("cut.parquet: no readable Parquet file (")
        assert message.endswith("it is truncated or of another kind: write it again, as Parquet")
    corrupt = bytearray(whole)
    corrupt[4:400] = b"\xff" * 396
    assert "no readable Parquet file" in refused(save(bytes(corrupt), "corrupt.parquet"))


def test_truncated_arrow(save: Save, tmp_path: Path) -> None:
    pl.DataFrame({"ds": range(5000), "y": np.arange(5000.0)}).write_ipc(tmp_path / "whole.arrow")
    half = (tmp_path / "whole.arrow").read_bytes()[:20_000]
    assert "cut.arrow: no readable Arrow file (" in refused(save(half, "cut.arrow"))


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_no_damaged_byte_of_a_columnar_file_is_a_defect(tmp_path: Path, suffix: str) -> None:
    path, frame = tmp_path / f"a.{suffix}", pl.DataFrame({"ds": [1, 2, 3], "y": [1.5, None, 2.5]})
    frame.write_parquet(path) if suffix == "parquet" else frame.write_ipc(path)
    whole, causes = path.read_bytes(), set[str]()
    for at, byte in enumerate(whole):
        path.write_bytes(whole[:at] + bytes([byte ^ 0xFF]) + whole[at + 1 :])
        try:
            read(path)
        except DataError as error:
            causes.add(type(error.__cause__).__name__)
    assert "ComputeError" in causes  # and with polars 2.1 PanicException, which is no Exception


def test_missing_file_offers_near_names(save: Save, tmp_path: Path) -> None:
    save("ds,y\n")
    message = refused(tmp_path / "sale.csv")
    assert message == "sale.csv: no such file; did you mean sales.csv?"
    assert "its folder" in refused(tmp_path / "nowhere" / "sales.csv")


def test_directory_instead_of_a_file(save: Save, tmp_path: Path) -> None:
    save("ds,y\n")
    assert "this is a directory, not a file; name one file in it, such as sales.csv" in refused(tmp_path)


def test_unknown_kinds_of_files(save: Save) -> None:
    assert "tables are not read from .xlsx; save it as one of .csv" in refused(save(b"PK\x03\x04", "book.xlsx"))
    assert refused(5) == "dataframe: int is no table; give a path, or a pandas, polars or pyarrow table"


def test_limit(save: Save, tmp_path: Path) -> None:
    path = save(with_cell(0, "1"))
    with pytest.raises(DataError, match="bytes exceed the limit of 10; pass a larger limit, or keep fewer rows"):
        read(path, limit=10)
    pl.DataFrame({"y": np.zeros(10_000_000, np.int8)}).write_parquet(tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 50_000
    with pytest.raises(DataError, match="10,000,000 cells would not fit into 1,000,000 bytes"):
        read(tmp_path / "bomb.parquet", limit=1_000_000)


def test_cells_without_bound(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    for values, dtype in (([[0] * 2_000_000], pl.List(pl.Int8)), ([{"a": 1}], pl.Struct({"a": pl.Int64}))):
        pl.DataFrame({"ds": [1], "y": pl.Series(values, dtype=dtype)}).write_parquet(path)
        with pytest.raises(
            DataError, match=r"bomb.parquet, column 'y': cells of (List|Struct).* hold many values each"
        ):
            read(path, limit=1_000_000)
    for cell in ("x" * 2_000_000, b"x" * 2_000_000):
        pl.DataFrame({"ds": [1, 2], "note": [cell, None]}).write_parquet(path)
        assert path.stat().st_size < 50_000
        with pytest.raises(
            DataError, match="2,000,000 bytes of text would not fit into 1,000,000; pass a larger limit"
        ):
            read(path, limit=1_000_000)
        assert read(path)["note"].to_list() == [cell, None]


def test_no_time_column(save: Save) -> None:
    message = refused(save(table("1,2", "3,4", header="price,sold")))
    assert message.startswith("sales.csv: no column holds times; name it with --time, or add one")
    indexed = pd.DataFrame({"y": [1.0, 2.0]}, index=pd.date_range("2024", periods=2))
    assert "pass df.reset_index()" in refused(indexed)


def test_several_time_columns(save: Save) -> None:
    rows = [f"2024-01-0{i},2024-02-0{i},{i}" for i in range(1, 5)]
    message = refused(save(table(*rows, header="ordered,shipped,sold")))
    assert message == (
        "sales.csv: several columns could be the time: ordered, shipped; name the right one, such as --time ordered"
    )
    assert "several columns could be the time: year, month" in refused(
        save(table("2024,1,5", "2024,2,6", header="year,month,sold"))
    )


def test_no_header(save: Save) -> None:
    for first in ("0.78,1.61,0.86", "2024-01-01,5.5"):
        message = refused(save(f"{first}\n{first}\n"))
        assert message.startswith("sales.csv, row 1: the first line holds values (")
        assert "add a line such as 'ds,y' on top" in message


def test_one_row_a_series(save: Save) -> None:
    rows = [f'"H{i}",1,2,3,4,5,6,' for i in range(3)]
    message = refused(save(table(*rows, header='"V1","V2","V3","V4","V5","V6","V7","V8"')))
    assert message.endswith("reshape to one row per value, with columns unique_id, ds, y")


@pytest.mark.parametrize("bad", ["soon", "2024-02-30", "2024-01-01 25:00:00", "13/01/2024"])
def test_unparsable_date(save: Save, bad: str) -> None:
    rows = [f"{bad if i == 4 else ds},{i}" for i, ds in enumerate(HOURLY)]
    message = refused(save(table(*rows)))
    assert message.startswith(f"sales.csv, row 6, column 'ds': {bad!r} is no")
    assert message.endswith("write it as 2024-01-31 or 2024-01-31 18:00:00")


@pytest.mark.parametrize("bad", ["01/05/24", "5-1-24", "24-01-05", "24.01.05 10:00", "5 Jan 24", "Jan 5, 24"])
def test_years_of_two_digits(save: Save, bad: str) -> None:
    message = refused(save(table("2024-01-01,1", f'"{bad}",2', "2024-01-03,3")))
    assert message == (
        f"sales.csv, row 3, column 'ds': {bad!r} is a date whose year is cut short; write the year with four digits"
    )


def test_missing_time_and_id(save: Save) -> None:
    assert refused(save(table("2024-01-01,1", ",2"))).startswith("sales.csv, row 3, column 'ds': the time is missing")
    rows = ("a,2024-01-01,1", ",2024-01-02,2")
    message = refused(save(table(*rows, header="unique_id,ds,y")))
    assert message == "sales.csv, row 3, column 'unique_id': the id is missing; give the row an id, or remove it"


def test_ambiguous_day_and_month(save: Save) -> None:
    message = refused(save(table("05/05/2024,1", "06/05/2024,2", "07/05/2024,3")))
    assert message.startswith(
        "sales.csv, row 3, column 'ds': '06/05/2024' can be day first or month first, and no row decides it; write it as"
    )
    message = refused(save(table("31/05/2024,1", "01/06/2024,2", "06/30/2024,3")))
    assert "row 4, column 'ds': '06/30/2024' is no date that is written day first like the rows before it" in message


def test_duplicate_times(save: Save) -> None:
    rows = [f"{ds},{i}" for i, ds in enumerate(HOURLY)]
    message = refused(save(table(*rows, f"{HOURLY[2]},99")))
    assert message.startswith(
        "sales.csv, row 10, column 'ds': time 2024-01-01 02:00:00 occurs twice, first in row 4; aggregate (pandas: "
    )
    assert "name the column that tells the series apart with --id" in message


def test_duplicate_times_of_a_named_series(save: Save) -> None:
    rows = [f"{id},{ds},1" for id in "ab" for ds in HOURLY]
    message = refused(save(table(*rows, f"b,{HOURLY[0]},2", header="unique_id,ds,y")))
    assert "row 18, column 'ds': time 2024-01-01 00:00:00 of series 'b' occurs twice, first in row 10" in message


def test_duplicate_times_that_a_column_explains(save: Save) -> None:
    rows = [f"{ds},{shop},1" for shop in ("north", "south") for ds in HOURLY]
    message = refused(save(table(*rows, header="ds,shop,y")))
    assert message.endswith("column 'shop' tells such rows apart: name it with --id shop")


def test_exact_repeats_are_left_out_and_said(save: Save) -> None:
    path = save(table(*(f"{ds},{i}" for i, ds in enumerate(HOURLY)), f"{HOURLY[2]},2"))
    panel, understood = understand(read(path), source="sales.csv")
    assert len(panel.series[0]) == 8
    assert understood.duplicates == 1
    assert "note: 1 row(s) repeat another in every cell and were left out, first: row 10" in str(understood)


@pytest.mark.parametrize(("zone", "said"), [("+05:00", "+05:00"), ("", "none"), ("Z", "+00:00")])
def test_mixed_time_zones(save: Save, zone: str, said: str) -> None:
    rows = [f"{ds}{zone if i == 3 else '+02:00'},{i}" for i, ds in enumerate(HOURLY)]
    message = refused(save(table(*rows)))
    assert message.startswith(f"sales.csv, row 5, column 'ds': mixed time zones: offset {said} after +02:00 in row 2; ")
    assert "convert all to one zone first, such as UTC" in message


def test_irregular_times(save: Save) -> None:
    days = np.cumsum(np.random.default_rng(0).integers(100, 100_000, 50))
    rows = [f"{np.datetime64('2024-01-01', 's') + d},{i}" for i, d in enumerate(days)]
    message = refused(save(table(*rows)))
    assert "column 'ds': irregular times: no step explains nine in ten of the 49 time differences (the first" in message
    assert "aggregate to a regular grid first" in message
    shifted = [f"{ds if i < 5 else ds.replace(':00:00', ':17:00')},{i}" for i, ds in enumerate(HOURLY)]
    message = refused(save(table(*shifted[:6], "2024-01-01 06:59:00,1", "2024-01-01 07:03:00,2")))
    assert message.startswith("sales.csv, row 7, column 'ds': irregular times")


def test_two_rows_at_one_step(save: Save) -> None:
    days = [f"2024-01-{day:02},1" for day in range(1, 31)]
    message = refused(save(table(*days, "2024-01-03 00:20:00,5")))
    assert "row 32, column 'ds': rows 4 and 32 both stand at step 2024-01-03T00:00:00" in message


def test_a_wrong_year_does_not_ask_for_all_memory(save: Save) -> None:
    seconds = [f"2024-01-01 00:00:{s:02},1" for s in range(30)]
    message = refused(save(table(*seconds, "9024-01-01 00:00:00,1")))
    assert "row 32, column 'ds': 220,898,620,771 steps of 1s lie between rows 31 and this one" in message


def test_a_jump_in_a_wide_table_is_bounded_by_its_bytes() -> None:
    times = pl.Series("t", [*range(1, 11), 50_000])
    code, rows = np.zeros(len(times), np.int64), pl.int_range(len(times), eager=True)
    assert lay(times, code, given=None, source=Source("a.csv"), rows=rows, width=10).lengths.tolist() == [50_000]
    with pytest.raises(DataError, match="row 12, column 't': 49,990 steps of 1i lie between rows 11 and this one"):
        lay(times, code, given=None, source=Source("a.csv"), rows=rows, width=1000)


def test_single_rows_have_no_step(save: Save) -> None:
    message = refused(save(table("a,2024-01-01,1", "b,2024-01-01,2", header="unique_id,ds,y")))
    assert "no series has two rows, so there is no time step" in message


@pytest.mark.parametrize(
    ("cell", "mend"),
    [
        ("abc", "write a number, or leave the cell empty where the value is missing"),
        ('"1,234.5"', "write numbers with a decimal point and without thousands separators (1234.5)"),
        ('"1,5"', "write numbers with a decimal point and without thousands separators (1234.5)"),
        ("$5", "write the bare number, without unit or currency"),
    ],
)
def test_text_in_a_numeric_column(save: Save, cell: str, mend: str) -> None:
    value = cell.strip('"')
    assert refused(save(with_cell(3, cell))) == f"sales.csv, row 5, column 'y': {value!r} is not a number; {mend}"


def test_text_in_a_numeric_column_of_a_dataframe() -> None:
    frame = pd.DataFrame({"ds": pd.date_range("2024", periods=4), "y": [1, 2.5, "x", None]})
    assert refused(frame).startswith("dataframe, row 2, column 'y': 'x' is not a number")


def test_ambiguous_decimal_comma(save: Save) -> None:
    rows = [f"{ds};1,{i}00" for i, ds in enumerate(HOURLY)]
    assert "row 2, column 'y': '1,000' is not a number; write numbers with a decimal point" in refused(
        save(table(*rows, header="ds;y"))
    )


@pytest.mark.parametrize("cell", ["inf", "-inf", "1e999"])
def test_infinity(save: Save, cell: str) -> None:
    message = refused(save(with_cell(2, cell)))
    assert message.startswith(f"sales.csv, row 4, column 'y': {float(cell)} is not finite; leave the cell empty")


def test_infinity_in_a_covariate() -> None:
    frame = pl.DataFrame({"unique_id": ["a"] * 3, "ds": [1, 2, 3], "y": [1.0, 2, 3], "price": [1.0, float("inf"), 2]})
    assert refused(frame).startswith("dataframe, row 1, column 'price': inf is not finite")


def test_not_utf8(save: Save) -> None:
    raw = table("2024-01-01,1", "2024-01-02,2", header="ds,größe").encode("latin1")
    assert refused(save(raw)) == (
        "sales.csv, row 1: byte 0xf6 at offset 5 is not UTF-8; save it as UTF-8 (from Latin-1: iconv -f latin1 -t utf-8)"
    )
    assert "row 3: byte 0xe9 at offset 20 is not" in refused(save(b"ds,y\n2024-01-01,1\na,\xe9\n"))
    assert "the text is UTF-16" in refused(save("ds,y\n".encode("utf-16")))
    assert "row 2: a NUL byte" in refused(save(b"ds,y\n1,\0\n"))


def test_duplicated_column_names(save: Save) -> None:
    message = refused(save(table("2024-01-01,1,2", header="ds,y,y")))
    assert message == "sales.csv, row 1, column 'y': columns 2 and 3 have the same name; rename one of them"
    assert "duplicated column names" in refused(pd.DataFrame(np.ones((1, 2)), columns=pd.Index(["y", "y"])))
    assert "duplicated column names" in refused(pa.table([pa.array([1]), pa.array([2])], names=["y", "y"]))
    assert "the column name 0 is no text; name the columns by text" in refused(pd.DataFrame(np.ones((1, 2))))
    assert "row 1: the first line is blank; begin the file with the column names" in refused(save("\nds,y\n1,2\n"))
    assert "row 1: the header cannot be read in one way only" in refused(save("ds,so\rld,y\n1,2,3\n"))
    assert "row 1: column 2 has no name; give it one" in refused(save(table("1,2,3", header="ds,,y")))


def test_ragged_lines_and_open_quotes(save: Save) -> None:
    message = refused(save(table("2024-01-01,1", "2024-01-02,2,5", "2024-01-03,3")))
    assert message.startswith("sales.csv, row 3: 3 fields under 2 column names; put a field that holds the separator")
    assert "row 3: no readable CSV (" in refused(save(table("2024-01-01,1", '2024-01-02,"2', "2024-01-03,3")))


def test_quotes_that_swallow_what_follows(save: Save) -> None:
    many = [f"2024-01-01 {h // 60:02}:{h % 60:02}:00,{'x' * 120} {h}" for h in range(1400)]
    close = "close the quotation mark that opens there"
    message = refused(save(table(many[0], '2024-01-02,"x', *many)))
    assert message == f"sales.csv, row 3: no readable CSV (field larger than field limit (131072)); {close}"
    message = refused(save(table(*many, header='ds,"y')))
    assert message == f"sales.csv, row 1: no readable CSV (field larger than field limit (131072)); {close}"


@pytest.mark.parametrize("cell", ['5" pipe', '"a",5" pipe', '5" pipe,"a"'])
def test_quotes_inside_a_field(save: Save, cell: str) -> None:
    header = "ds,note,more" if "," in cell else "ds,note"
    message = refused(save(table(*(f"2024-01-0{day},{cell}" for day in range(1, 5)), header=header)))
    assert message.startswith("sales.csv, row 2: no readable CSV (")
    assert message.endswith('put a field that holds a quotation mark in quotes, and write that mark twice ("5"" pipe")')


@pytest.mark.parametrize(("cell", "dtype"), [([1], "List"), (b"\xff", "Binary")])
def test_columns_that_are_no_id(cell: object, dtype: str) -> None:
    frame = pl.DataFrame({"unique_id": [cell] * 3, "ds": [1, 2, 3], "y": [1.0, 2, 3]})
    message = refused(frame)
    assert message.startswith(f"dataframe, column 'unique_id': a column of {dtype}")
    assert message.endswith("is no id; name a column of text or whole numbers with --id")


def test_no_numbers_and_empty_targets(save: Save) -> None:
    assert "no column holds numbers to forecast" in refused(
        save(table("2024-01-01,a", "2024-01-02,b", header="ds,shop"))
    )
    message = refused(pl.DataFrame({"ds": [1, 2], "y": [float("nan")] * 2}))
    assert message == "dataframe, column 'y': the target has no value at all; name another one with --target"


def test_several_targets_in_long_layout() -> None:
    frame = pl.DataFrame({"unique_id": ["a", "a"], "ds": [1, 2], "sold": [1.0, 2], "price": [1.0, 3]})
    message = refused(frame)
    assert message == "dataframe: several columns could be the target: sold, price; name it, such as --target price"


def test_short_series_are_named_and_the_rest_goes_on() -> None:
    lengths = {"a": 50, "short": 9, "late": 50}
    frame = pl.DataFrame(
        [(id, t, None if id == "late" and t < 45 else t / 2) for id, n in lengths.items() for t in range(n)],
        schema=["unique_id", "ds", "y"],
        orient="row",
    )
    panel, _ = understand(frame)
    kept, messages = check_lengths(panel, 20)
    assert [s.id for s in kept.series] == ["a"]
    assert messages == (
        "series 'short' has 9 steps from its first value on, 20 are needed: left out",
        "series 'late' has 5 steps from its first value on, 20 are needed: left out",
    )
    with pytest.raises(DataError, match="no series is long enough: the longest has 50 steps, 60 are needed; choose a"):
        check_lengths(panel, 60)
    with pytest.raises(DataError, match=r"^sales.csv: no series is long enough"):
        check_lengths(panel, 60, source="sales.csv")


def test_constant_series_are_reported() -> None:
    frame = pl.DataFrame({"unique_id": ["a"] * 3 + ["b"] * 3, "ds": [1, 2, 3] * 2, "y": [5.0, 5, 5, 1, 2, None]})
    _, understood = understand(frame)
    assert understood.constant == ("a",)
    wide = pl.DataFrame({"ds": [1, 2, 3], "load": [1.0, 2, 3], "flat": [7.0, 7, 7]})
    assert understand(wide)[1].constant == ("flat",)


def test_texts(save: Save, tmp_path: Path) -> None:
    def message(path: Path) -> str:
        with pytest.raises(DataError) as caught:
            read_text(path)
        return str(caught.value).replace(f"{tmp_path}/", "")

    assert message(save("", "a.txt")) == "a.txt: the file is empty (0 bytes); write it again, or name another file"
    assert message(save("hello", "a.txt")).startswith("a.txt: the text has 5 bytes; at least 1000 are needed")
    assert "byte 1500 is NUL" in message(save(b"x" * 1500 + b"\0" + b"x" * 500, "a.txt"))
    assert "did you mean a.txt?" in message(tmp_path / "a.tx")
    assert "this is a directory" in message(tmp_path)
