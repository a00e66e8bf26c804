"""docs/claims.md: `python -m sequary.claims.page docs/claims.md` writes what became of each paper's claim, from the records."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sequary.claims.results import read
from sequary.core.catalogue import card, files
from sequary.core.files import write_atomic

HEAD = """\
# Claims

Written by `python -m sequary.claims.page docs/claims.md`; do not edit. What the experiment of each system's paper's claim found here, at a
laptop's size: of {all} systems {counts}. Baselines have the same budget and the same tuning; seeds are paired, and the interval is that of
the mean gain over the baseline (95 %, Student's t; above zero is the claim's side). *Holds*: the interval lies beyond the claim's margin,
and both sides beat the floor, which knows nothing. *Does not hold at this scale*: all of it falls short of the margin, or a
counterexample broke an exact part. `sequary show ID` prints the claim, `sequary check ID --claim` runs a small form of it, `python -m
sequary.claims ID` the recorded one.

"""
COLUMNS = (
    "system",
    "claim",
    "verdict",
    "metric",
    "system's",
    "baseline's",
    "floor",
    "seeds",
    "interval of the gain",
    "core minutes",
    "measured",
)


VERDICTS = {
    "holds": "hold",
    "does not hold at this scale": "do not hold at this scale",
    "inconclusive": "are inconclusive",
}


def lines() -> list[str]:
    claims = {slug: found for slug in sorted(files()) if (found := read(slug).claim) is not None}
    count = Counter(found["verdict"] for found in claims.values())
    counts = ", ".join(f"{count[v]} {words}" for v, words in VERDICTS.items())
    head = HEAD.format(counts=counts, all=len(claims)).splitlines()
    return [*head, *sections(claims)]


def sections(claims: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    kinds = {slug: card(slug).kind for slug in claims}
    for kind in sorted(set(kinds.values())):
        yield from (f"## {kind.capitalize()}", "", row(*COLUMNS), row(*("---" for _ in COLUMNS)))
        yield from (entry(slug, found) for slug, found in claims.items() if kinds[slug] == kind)
        yield ""


def entry(slug: str, found: Mapping[str, Any]) -> str:
    numbers, against = found["numbers"], found["settings"].get("against")
    broken = f" (broken for {numbers['broken']:.0f} of {found['seeds']} seeds)" if "broken" in numbers else ""
    baseline = f"{numbers['baseline']:.4g} ({against})" if against else f"{numbers['baseline']:.4g}"
    return row(
        f"`{slug}`",
        found["text"],
        f"**{found['verdict']}**{broken}",
        str(numbers["metric"]).replace("_", " "),
        f"{numbers['system']:.4g}",
        baseline,
        f"{numbers['floor']:.4g}" if "floor" in numbers else "",
        str(found["seeds"]),
        f"{numbers['low']:.3g} to {numbers['high']:.3g}",
        f"{took / 60:.1f}" if (took := found.get("core_seconds")) else "",
        found["measured"].partition(",")[0],
    )


def row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def main(out: str) -> None:
    write_atomic(Path(out), "\n".join(lines()).rstrip() + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
