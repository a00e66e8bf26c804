"""`sequary classify`: the class of each series by a saved model, and how probable each class is."""

from __future__ import annotations

import json

from sequary.data.frames import write
from sequary.tasks.saved import load


def command(model: str, data: str, *, out: str | None = None, as_json: bool = False) -> int:
    """Without `out` the table goes to standard output."""
    found = load(model).classify(data)
    if out is None:
        print(found.write_json() if as_json else found.write_csv(), end="\n" if as_json else "")
        return 0
    write(found, out)
    counts = dict(found["label"].value_counts(sort=True).iter_rows())
    if as_json:
        print(json.dumps({"out": out, "series": len(found), "classes": counts}))
    else:
        shown = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        print(f"{len(found):,} series: {shown}\n{out}")
    return 0
