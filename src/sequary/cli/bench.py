"""`sequary bench mixers`: what the layers of mixers and blocks cost, from 256 to 65,536 tokens, or what they learn."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sequary.bench import cost, page, quality
from sequary.bench.layers import layers
from sequary.compare.machine import cores
from sequary.core.files import explained, write_atomic


def command(
    what: str,
    *,
    systems: tuple[str, ...] | None = None,
    lengths: tuple[int, ...] | None = None,
    learn: bool = False,
    out: str = "bench-mixers",
    as_json: bool = False,
) -> int:
    if what != "mixers":
        raise ValueError(f"bench {what}: there is mixers")
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explained(folder, error) from error
    lines, found = learning(systems, folder) if learn else costs(systems, lengths, folder)
    print(json.dumps({"out": str(folder), **found}) if as_json else "\n".join(lines))
    return 0


def costs(
    systems: tuple[str, ...] | None, lengths: tuple[int, ...] | None, folder: Path
) -> tuple[list[str], dict[str, Any]]:
    sizes = cost.Sizes() if lengths is None else cost.Sizes(lengths=lengths)
    cost.run([layer.id for layer in layers(systems)], sizes, folder, say)
    found, rate = page.read(folder)
    page.draw(found, folder / "cost.svg")
    lines = page.table(found, rate)
    write_atomic(folder / "cost.md", "\n".join(lines) + "\n")
    return lines, {"rate": rate, "layers": found}


def learning(systems: tuple[str, ...] | None, folder: Path) -> tuple[list[str], dict[str, Any]]:
    found = quality.run(systems, folder, cores(), say)
    lines = quality.table(found, [layer.id for layer in quality.causal(systems)])
    write_atomic(folder / "quality.md", "\n".join(lines) + "\n")
    return lines, {"tasks": found}


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
