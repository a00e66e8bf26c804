"""`sequary detect`: the rows of a table scored by a saved model, and its events as intervals."""

from __future__ import annotations

import json
from typing import Any

from sequary.cli.tables import readable
from sequary.data.frames import write
from sequary.tasks.saved import load


def command(
    model: str, data: str, *, out: str | None = None, alarms: float | None = None, as_json: bool = False
) -> int:
    """Scores go to `out`, events to standard output."""
    saved = load(model)
    found = saved.found(data) if alarms is None else saved.found(data, alarms)
    if out is not None:
        write(found.table, out)
    rows = readable(found.events).to_dicts()
    marked = int(found.table["anomaly"].sum())
    facts = {"rows": len(found.table), "anomalies": marked, "threshold": found.threshold}
    if as_json:
        print(json.dumps({"out": out, **facts, "events": rows}))
        return 0
    print(f"{len(rows)} events, {marked:,} of {len(found.table):,} rows above {found.threshold:.4g}")
    for row in rows:
        print(_line(row))
    if out is not None:
        print(out)
    return 0


def _line(row: dict[str, Any]) -> str:
    start, end, steps, score = (row.pop(name) for name in ("start", "end", "steps", "score"))
    named = [str(id) for id in row.values()]
    return "  ".join([*named, f"{start} to {end}", f"{steps} step{'s' if steps > 1 else ''}", f"score {score:.3g}"])
