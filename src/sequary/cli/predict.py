"""`sequary predict`: what a saved model says comes next, as a table; for a language model, bits per byte."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence

from sequary.cli.tables import readable
from sequary.data.frames import write
from sequary.data.texts import read_text
from sequary.tasks.forecast.drift import DriftWarning
from sequary.tasks.saved import load


def command(
    model: str,
    data: str,
    *,
    out: str | None = None,
    horizon: int | None = None,
    levels: Sequence[float] | None = None,
    as_json: bool = False,
) -> int:
    saved = load(model)
    if saved.task == "language":
        if (out, horizon, levels) != (None, None, None):
            what = "is a language model, which gives bits per byte"
            raise ValueError(f"{model} {what}; --out, --horizon and --level are for models of tables: leave them out")
        bits = saved.bits_per_byte(read_text(data, least=1))
        print(json.dumps({"bits_per_byte": bits}) if as_json else f"{bits:.4f} bits per byte")
        return 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DriftWarning)
        found = saved.predict(data, horizon, levels)
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)
    if out is not None:
        write(found, out)
        print(json.dumps({"out": out, "rows": len(found)}) if as_json else f"{len(found):,} rows\n{out}")
    else:
        text = readable(found)
        print(text.write_json() if as_json else text.write_csv(), end="\n" if as_json else "")
    return 0
