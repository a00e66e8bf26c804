"""Delimited text (CSV and its kin) as a frame: the separator, the decimal mark and the header are found, not guessed.

Every column is read as text first, so that a bad cell can be shown as it stands in the file. A column becomes numbers
only where each of its cells is one and none a name; `007`, and `1.10` beside `1.9`, stay text.
"""

from __future__ import annotations

import csv
import io
import re

import polars as pl
from polars.exceptions import PolarsError

from sequary.data import cells
from sequary.data.errors import DataError

SEPARATORS = ",;\t|"
DATE = re.compile(r"\d{4}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")


def parse(raw: bytes, *, file: str) -> pl.DataFrame:
    """The table in `raw`; UTF-8, with or without a byte order mark, any line end."""
    text = _decode(raw, file)
    if not text.strip():
        raise DataError("the file holds blank lines only", file=file, mend="write it again, or name another file")
    separator = _separator(text)
    names = _header(text, separator, file)
    try:
        frame = pl.read_csv(io.StringIO(text), separator=separator, infer_schema=False)
    except PolarsError as error:
        raise _ragged(text, separator, len(names), file, error) from error
    if frame.is_empty():
        raise DataError("there is a header, but no row", file=file, mend="write it again, or name another file")
    if frame.width != len(names):
        mend = "write plain column names, without quotes or line ends in them"
        raise DataError("the header cannot be read in one way only", file=file, row=1, mend=mend)
    frame.columns = names
    frame = frame.with_columns(pl.all().str.strip_chars())
    return frame.with_columns(cells.typed(c) for c in _decimal_points(frame, separator))


def _decode(raw: bytes, file: str) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError("the text is UTF-16", file=file, mend="save it as UTF-8 (iconv -f utf-16 -t utf-8)")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        skipped = 3 if raw.startswith(b"\xef\xbb\xbf") else 0
        at = error.start + skipped
        what = f"byte {raw[at]:#04x} at offset {at} is not UTF-8"
        mend = "save it as UTF-8 (from Latin-1: iconv -f latin1 -t utf-8)"
        raise DataError(what, file=file, row=raw.count(b"\n", 0, at) + 1, mend=mend) from error
    if "\0" in text:
        row = text.count("\n", 0, text.index("\0")) + 1
        raise DataError("a NUL byte: this is no text", file=file, row=row, mend="save the table as UTF-8 CSV")
    # polars knows \n and \r\n; a lone \r is how old spreadsheets end a line
    return text.replace("\r", "\n") if "\r" in text and "\n" not in text else text


def _separator(text: str) -> str:
    """The candidate that stands most often in the header outside quotes, provided that it stands there at all."""
    header = re.sub(r'"[^"]*"', "", text.lstrip("\n").split("\n", 1)[0])
    return max(SEPARATORS, key=header.count)


def _header(text: str, separator: str, file: str) -> list[str]:
    """Column names. The first may be missing (a saved index); no other may, and none may come twice."""
    try:
        names = [n.strip() for n in next(csv.reader(io.StringIO(text, newline=""), delimiter=separator))]
    except csv.Error as error:
        raise _unreadable(text, separator, file, error) from error
    if not names:
        raise DataError("the first line is blank", file=file, row=1, mend="begin the file with the column names")
    values = [n for n in names if cells.is_number(n) or DATE.match(n)]
    if len(values) == len(names):
        what = f"the first line holds values ({', '.join(names[:3])}), not column names"
        mend = "add a line such as 'ds,y' on top; a forecast also needs a column of times"
        raise DataError(what, file=file, row=1, mend=mend)
    if names[0] == "":
        names[0] = "index"
    first: dict[str, int] = {}
    for at, name in enumerate(names):
        if name == "":
            raise DataError(f"column {at + 1} has no name", file=file, row=1, mend="give it one")
        if first.setdefault(name, at) != at:
            what = f"columns {first[name] + 1} and {at + 1} have the same name"
            raise DataError(what, file=file, row=1, column=name, mend="rename one of them")
    return names


def _ragged(text: str, separator: str, width: int, file: str, error: PolarsError) -> DataError:
    """Polars says that a line is wrong, not which; this is slow and only runs to say it."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for fields in lines:
            if len(fields) > width:
                what = f"{len(fields)} fields under {width} column names"
                mend = 'put a field that holds the separator in quotes ("1,5"), or remove the extra one'
                return DataError(what, file=file, row=lines.line_num, mend=mend)
    except csv.Error as found:  # a quotation mark that is never closed makes one field of all that follows
        return _unreadable(text, separator, file, found)
    return _unreadable(text, separator, file, error)


def _unreadable(text: str, separator: str, file: str, error: Exception) -> DataError:
    """The first line with half a pair of quotation marks is to blame, if there is one."""
    row, line = next(((n, line) for n, line in enumerate(text.split("\n"), 1) if line.count('"') % 2), (None, ""))
    if re.search(rf'(^|{re.escape(separator)})\s*"', re.sub(r'"[^"]*"', "", line)):
        mend = "close the quotation mark that opens there"
    elif line:
        mend = 'put a field that holds a quotation mark in quotes, and write that mark twice ("5"" pipe")'
    else:
        mend = "save it again as plain CSV"
    return DataError(f"no readable CSV ({' '.join(str(error).split())[:120]})", file=file, row=row, mend=mend)


def _decimal_points(frame: pl.DataFrame, separator: str) -> list[pl.Series]:
    """With another separator than the comma, `1,5` is a number: where no cell denies it, and one of them proves it.

    `1,234` alone could be a thousand and more; a comma followed by one, two or four digits, or led by 0, cannot.
    """
    if separator == ",":
        return frame.get_columns()
    comma = [c for c in frame.get_columns() if cells.has_decimal_comma(c)]
    proved = any(c.str.contains(r"^[+-]?(\d+,(\d{1,2}|\d{4,})|0,\d+|\d{4,},\d+)([eE][+-]?\d+)?$").any() for c in comma)
    named = {c.name for c in comma} if proved else set()
    return [c.str.replace(",", ".", literal=True) if c.name in named else c for c in frame.get_columns()]
