"""The costs of layers as a table and a plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from sequary.bench.cost import FILE, Points, exponent

SHOWN = (512, 2048, 8192, 65536)
DRAWN = 12
"""Lines that a plot can hold."""


def table(found: dict[str, Points], rate: float) -> list[str]:
    """Markdown: milliseconds both ways, share of the product rate, exponent, and what decoding takes."""
    head = " | ".join(f"{n:,}" for n in SHOWN)
    lines = [
        f"| layer | parameters | {head} | exponent | megabytes at the longest | ms a token | state, bytes |",
        "|---" * (len(SHOWN) + 6) + "|",
    ]
    for name, points in found.items():
        good = {n: p for n, p in sorted(points.items()) if "error" not in p}
        if not good:
            lines.append(f"| {name} | {next(iter(points.values()))['error']} |" + " |" * (len(SHOWN) + 4))
            continue
        last, grown = good[max(good)], exponent(good, "both_ms")
        cells = [
            name,
            f"{last['params'] / 1e3:.0f} k",
            *(cell(points.get(n), rate) for n in SHOWN),
            "" if grown is None else f"{grown:.2f}",
            f"{last['memory_mb']:.0f} ({max(good):,})",
            f"{last['token_ms']:.2f}" if "token_ms" in last else "",
            f"{last['state_bytes']:,}" if "state_bytes" in last else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def cell(point: dict[str, Any] | None, rate: float) -> str:
    if point is None:
        return ""
    if "error" in point:
        return point["error"]
    share = point["products"] / rate / (point["both_ms"] / 1000)
    return f"{point['both_ms']:.1f} ({100 * share:.0f} %)"


def draw(found: dict[str, Points], path: Path) -> None:
    """Time over length, both logarithmic, a line a layer, of the `DRAWN` that were measured at the most lengths."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot()
    good = {n: sorted((p["tokens"], p["both_ms"]) for p in ps.values() if "error" not in p) for n, ps in found.items()}
    longest = sorted((n for n in good if good[n]), key=lambda n: -len(good[n]))[:DRAWN]
    for n, name in enumerate(longest):
        axes.plot(*zip(*good[name], strict=True), marker=".", color=mpl.colormaps["tab20"](n), label=name)
    axes.set(xscale="log", yscale="log", xlabel="tokens", ylabel="ms, forward and backward")
    axes.xaxis.set_major_locator(LogLocator(base=4))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=7)
    figure.savefig(path)


def read(folder: Path) -> tuple[dict[str, Points], float]:
    kept = json.loads((folder / FILE).read_text())
    return {n: {int(t): p for t, p in points.items()} for n, points in kept["layers"].items()}, kept["rate"]
