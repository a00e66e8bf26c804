"""docs/mixers.md: `python -m sequary.bench.document FOLDER docs/mixers.md` writes it from records and what `bench mixers` left in FOLDER.

For each mixer and block: its idea and equation (the docstring of its file), laws, parity and verdict as recorded, and what it costs and
learns: as the folder holds it, else as the page said before, for records change more often than anybody measures. The plot lies beside.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

from sequary.bench import cost, page, quality
from sequary.bench.layers import HEADS
from sequary.claims.results import read
from sequary.core import catalogue
from sequary.core.files import write_atomic

HEAD = """\
# Mixers and blocks

Written by `python -m sequary.bench.document`; do not edit. How tokens exchange information, {count} ways: what each computes, what it
keeps, what it costs and what became of its paper's claim here. `sequary bench mixers` measures the first table, `sequary bench mixers
--learn` the second; `sequary check ID` runs the laws, `sequary check ID --claim` a small form of the claim's experiment.

"""
COST = """\
## What they cost

Milliseconds forward and backward at as many tokens, {rows} rows of width {width}, {heads} heads, float32, {threads} threads; in brackets
the share of the rate of a large product on the same machine, {rate:.0f} G multiply-adds a second, each product counted once. The
exponent is the slope of time over length at the longest three. Decoding: one row, a token after the longest sequence. An empty cell
was not asked for, or three runs were expected to take over a minute.

![Time against length](images/mixers-cost.svg)

"""
LEARN = """\
## What they learn

On test rows, mean and spread of three seeds, in hosts of one size: {steps} steps of {batch} rows, a learning rate chosen for each on
held-out rows among {rates}. Accuracy in recall (8 pairs of key and value, each asked for once), copying (6 symbols scattered
among 42), ListOps (three levels of MIN, MAX, MED and sums modulo 10 in 64 symbols) and digits (196 pixels one after the other); bits per
byte of Shakespeare.

"""


def entry(name: str) -> list[str]:
    card, found = catalogue.card(name), read(name)
    idea = ast.get_docstring(ast.parse(catalogue.files()[name].read_text(encoding="utf-8"))) or ""
    paper = f"[{card.title}](https://arxiv.org/abs/{card.arxiv})" if card.arxiv else card.title
    lines = [f"### {name}", "", paper, "", idea.strip(), ""]
    return [
        *lines,
        f"- Laws: {laws(found.laws)}",
        f"- Parity: {parity(found.parity)}",
        f"- Claim: {claim(found.claim)}",
        "",
    ]


def laws(found: Any) -> str:
    if found is None:
        return "not recorded since its sources changed"
    exempt = f"; exempt: {'; '.join(found['exempt'])}" if found["exempt"] else ""
    return f"{found['passed']} passed, {found['failed']} failed{exempt}"


def parity(found: Any) -> str:
    return (
        "; ".join(f"{each['oracle']}, {each['error']:.0e}" for each in found or ())
        or "no outside implementation recorded"
    )


def claim(found: Any) -> str:
    if found is None or found["verdict"] is None:
        return "not judged yet"
    numbers = found["numbers"]
    told = ", ".join(f"{part} {numbers[part]:.3g}" for part in ("system", "baseline", "floor") if part in numbers)
    return f"{found['text']}: **{found['verdict']}** ({numbers['metric']}: {told}; {found['seeds']} seeds)"


def before(out: Path, head: str) -> list[str]:
    """The section of this head as the page has it now."""
    title, told = head.partition("\n")[0], out.read_text(encoding="utf-8") if out.exists() else ""
    _, found, rest = told.partition(f"{title}\n")
    return [title + "\n" + rest.partition("\n## ")[0]] if found else []


def costs(folder: Path, out: Path) -> list[str]:
    if not (folder / cost.FILE).exists():
        return before(out, COST)
    kept = json.loads((folder / cost.FILE).read_text(encoding="utf-8"))
    found, rate = page.read(folder)
    images = out.parent / "images"
    images.mkdir(exist_ok=True)
    page.draw(found, images / "mixers-cost.svg")
    return [COST.format(rate=rate / 1e9, heads=HEADS, **kept["sizes"]), *page.table(found, rate), ""]


def learnt(folder: Path, out: Path) -> list[str]:
    kept = folder / quality.FILE
    found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    shared = [name for name, task in quality.TASKS.items() if task.entrants is None]
    whole = [n for n in found.get("recall", ()) if all(quality.complete(found[task].get(n)) for task in shared)]
    if not whole:
        return before(out, LEARN)
    rates, of = ", ".join(f"{rate:g}" for rate in quality.RATES), quality.TASKS["recall"]
    return [LEARN.format(rates=rates, steps=of.steps, batch=of.batch), *quality.table(found, whole), ""]


def main(folder: str, out: str) -> None:
    names = [n for n in sorted(catalogue.files()) if catalogue.card(n).kind in ("mixer", "block")]
    lines = [
        HEAD.format(count=len(names)),
        *costs(Path(folder), Path(out)),
        *learnt(Path(folder), Path(out)),
        "## Each of them",
        "",
    ]
    lines += [line for name in names for line in entry(name)]
    write_atomic(Path(out), "\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
