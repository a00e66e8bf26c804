"""`sequary impute`: a table as it came, its missing cells filled by a saved model."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence

import polars as pl

from sequary.cli.tables import readable
from sequary.data.frames import read, write
from sequary.tasks.impute.task import RowsWarning, Saved
from sequary.tasks.saved import load


def command(
    model: str,
    data: str,
    *,
    out: str | None = None,
    levels: Sequence[float] | None = None,
    as_json: bool = False,
) -> int:
    """Without `out` the table goes to standard output."""
    saved = load(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RowsWarning)
        found = saved.impute(data, () if levels is None else levels)
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)
    if out is None:
        text = readable(found)
        print(text.write_json() if as_json else text.write_csv(), end="\n" if as_json else "")
        return 0
    write(found, out)
    assert isinstance(saved, Saved)  # no other has the verb
    names = saved.contract.channels
    filled = _missing(read(data), names) - _missing(found, names)
    if as_json:
        print(json.dumps({"out": out, "rows": len(found), "filled": filled}))
    else:
        print(f"{len(found):,} rows, {filled:,} cells filled\n{out}")
    return 0


def _missing(frame: pl.DataFrame, names: Sequence[str]) -> int:
    return sum(frame[name].cast(pl.Float64, strict=False).fill_nan(None).null_count() for name in names)
