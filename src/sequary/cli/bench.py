"""`sequary bench mixers`: what the layers of mixers and blocks cost, from 256 to 65,536 tokens."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sequary.bench import cost, page
from sequary.bench.layers import layers


def command(
    what: str,
    *,
    systems: tuple[str, ...] | None = None,
    lengths: tuple[int, ...] | None = None,
    out: str = "bench-mixers",
    as_json: bool = False,
) -> int:
    if what != "mixers":
        raise ValueError(f"bench {what}: there is mixers")
    sizes = cost.Sizes() if lengths is None else cost.Sizes(lengths=lengths)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    names = [layer.id for layer in layers(systems)]
    cost.run(names, sizes, folder, lambda line: print(line, file=sys.stderr, flush=True))
    found, rate = page.read(folder)
    page.draw(found, folder / "cost.svg")
    lines = page.table(found, rate)
    (folder / "cost.md").write_text("\n".join(lines) + "\n")
    print(json.dumps({"out": str(folder), "rate": rate, "layers": found}) if as_json else "\n".join(lines))
    return 0
