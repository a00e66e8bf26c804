"""docs/parity.md: `python -m sequary.convert.table tests/parity/goldens docs/parity.md` replays every case and writes the table."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import sys
from pathlib import Path

from sequary.convert.goldens import cases, replay, source
from sequary.core.catalogue import card, files
from sequary.core.files import write_atomic

LIVE = {
    "deep-encoder-shallow-decoder": "transformers' `MarianMTModel`, live",
    "gla": "fla's `naive_recurrent_gla`, live",
    "mamba": "transformers' `MambaForCausalLM`, live",
    "patchtst": "transformers' `PatchTSTForPrediction`, live",
    "swin": "transformers' `SwinModel`, live",
}
"""Installed oracles, run beside ours by a test of tests/parity/ that names them."""
HEAD = """\
# Parity

What the converters in `src/sequary/convert` make of outside implementations' arguments and weights, measured. Each case is a
recorded run of a source at a tiny size with random weights (`tests/parity/goldens/ID/`: the authors' code, the named package, or,
for the cases called `t_…`, that package again or a line-by-line transcription at other sizes and options; the case's JSON says
which). `make test` replays them all; `sequary check ID --goldens FOLDER` replays cases of your own.

*Error* is max|a − b| / max(1, max|b|), greatest over the cases: of outputs (recorded gradients of weights are among them), and of
gradients with respect to inputs (a dash: none recorded). A case passes at 1e-9, or 1e-5 where the source ran in float32; integers
must be equal. *Live* oracles are installed with the development set, and run beside ours in `tests/parity`. Sizes, lengths and
depths are free; an argument's value that is not taken over is declined by name, here and on the system's card.

This file is made by `python -m sequary.convert.table tests/parity/goldens docs/parity.md`.

| system | oracles | cases | error, values | error, gradients | declined |
|---|---|---|---|---|---|
"""
LIVE_HEAD = """\
## Beside installed implementations

{count} functions and classes of flash-linear-attention and transformers, run on a CPU beside ours on the same inputs and weights in
float32: outputs and last states, max|a − b| / max(1, max|a|). `tests/parity/test_oracles.py` holds each to 1e-5.

| theirs | ours | error |
|---|---|---|
"""
LOOSE = 1e-5


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One system. `values`, `gradients`: greatest errors, None where nothing of the kind is recorded."""

    slug: str
    oracles: tuple[str, ...]
    cases: int
    values: float | None
    gradients: float | None
    declined: str


def systems() -> list[str]:
    """Everything built from a paper, by name."""
    return [slug for slug in sorted(files()) if card(slug).kind != "reference"]


def oracles(folder: Path) -> tuple[str, ...]:
    """The classes of a slug's recorded cases, with their files where the class says nothing, and its live oracle."""
    told = [json.loads(p.read_text(encoding="utf-8")) for p in cases(folder)] if folder.is_dir() else []
    found = list(dict.fromkeys(f"`{source(case)}`" for case in told))
    return (*found, *([LIVE[folder.name]] if folder.name in LIVE else ()))


def declined(slug: str) -> str:
    """The card's notes on what is declined."""
    notes = [n.removeprefix("Declined: ") for n in card(slug).notes if n.startswith("Declined: ")]
    return " ".join(notes) or "nothing"


def measured(slug: str, folder: Path) -> Row:
    """Replays the slug's cases; one that is off is an error, not a row."""
    replays = [replay(slug, path) for path in cases(folder)] if folder.is_dir() else []
    off = [r.case for r in replays if not r.passed or r.declined is not None]
    if off:
        raise ValueError(f"{slug}: cases {', '.join(off)} are off or declined; run sequary check {slug} --goldens")
    values, gradients = (
        max((e for e in errors if e is not None), default=None)
        for errors in ([r.values for r in replays], [r.gradients for r in replays])
    )
    return Row(slug, oracles(folder), len(replays), values, gradients, declined(slug))


def line(row: Row) -> str:
    none = "none recorded: no outside implementation at hand; laws and exactness tests only"
    cells = (
        f"`{row.slug}`",
        "; ".join(row.oracles) or none,
        str(row.cases),
        _figure(row.values),
        _figure(row.gradients),
    )
    return f"| {' | '.join((*cells, row.declined))} |".replace("\n", " ")


def _figure(error: float | None) -> str:
    """One digit: the rest differs from one CPU to another."""
    return "–" if error is None else re.sub(r"e-0?", "e-", f"{error:.0e}") if error else "0"


def beside(folder: Path) -> list[str]:
    """A line for each entry of the files `oracles_*.py` in `folder`: their ORACLES are run."""
    lines: list[str] = []
    for path in sorted(folder.glob("oracles_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for theirs, (ours, run) in module.ORACLES.items():
            error = max(float((a - b).detach().abs().max() / a.detach().abs().max().clamp(min=1)) for a, b in run())
            if error > LOOSE:
                raise ValueError(f"{path.name}: {theirs} is off by {error:.1e}")
            lines.append(f"| {theirs} | {ours} | {_figure(error)} |")
    return lines


def main(goldens: str, out: str) -> None:
    rows = [measured(slug, Path(goldens) / slug) for slug in systems()]
    total = f"\n{sum(r.cases for r in rows)} cases of {sum(r.cases > 0 for r in rows)} systems.\n"
    live = beside(Path(goldens).parent)
    pages = (
        HEAD + "\n".join(line(r) for r in rows) + "\n" + total,
        LIVE_HEAD.format(count=len(live)) + "\n".join(live),
    )
    write_atomic(Path(out), "\n".join(pages) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
