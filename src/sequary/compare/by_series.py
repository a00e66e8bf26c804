"""The report's table of series: on how many the best is ahead, and where it gains most and least."""

from __future__ import annotations

import math
from typing import Any

from sequary.compare import columns as table
from sequary.compare.board import Candidate

EACH = 10
"""Series that are shown at either end."""


def by_series(best: Candidate | None, other: Candidate | None) -> dict[str, Any] | None:
    """The series where the best gains most over the other, and least; places (0 to 100) are on one scale."""
    if best is None or other is None:
        return None
    both = {s: (e, other.by_series.get(s, math.nan)) for s, e in best.by_series.items()}
    pairs = {s: pair for s, pair in both.items() if all(map(math.isfinite, pair))}
    gains = {s: 100 * (a / b - 1) for s, (a, b) in pairs.items() if b > 0}
    order = sorted(gains, key=lambda s: (gains[s], s))
    if len(order) < 2:
        return None
    kept = order if len(order) <= 2 * EACH else order[:EACH] + order[-EACH:]
    top = max(max(pairs[s]) for s in kept)
    mine, theirs = table.digits([pairs[s][0] for s in kept]), table.digits([pairs[s][1] for s in kept])
    rows = [
        (s, pairs[s], (m, t), gains[s], table.percent(gains[s]), [round(100 * e / top, 1) for e in pairs[s]])
        for s, m, t in zip(kept, mine, theirs, strict=True)
    ]
    return {
        "rows": rows,
        "all": len(pairs),
        "drawn": len(order),
        "each": EACH,
        "better": sum(a < b for a, b in pairs.values()),
    }
