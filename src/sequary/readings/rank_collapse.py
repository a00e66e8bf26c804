"""How alike a language model's tokens become with depth, as trained and with fresh weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from sequary.readings.page import COLORS, Drawing, Page
from sequary.tasks.language.probing import Probed

Lines = Mapping[str, Sequence[Sequence[float]]]
"""Name -> [runs][layers + 1] relative residuals."""
AXIS = "relative residual ‖x − mean token‖ / ‖x‖"


def page(probed: Probed) -> Page:
    readings = {"trained": probed.trained, "fresh weights": probed.fresh}
    lines = {name: [reading.tensors["relative"].tolist()] for name, reading in readings.items()}
    last, fresh = (lines[name][0][-1] for name in lines)
    return Page(
        title="Rank collapse: how alike tokens become with depth",
        lead=(
            "1: tokens differ freely; towards 0: all tokens are alike (the matrix of tokens has rank one). Layer 0 is the embedding.",
            f"After the last layer: {last:.2g} as trained, {fresh:.2g} with fresh weights of the same recipe.",
            f"Read: {probed.text.decode('utf-8', errors='replace')!r}",
        ),
        drawings=(depth("Residual by layer", lines, log=min(last, fresh) < 0.03),),
        size=(520, 320),
        numbers={
            "system": probed.system,
            "text": list(probed.text),
            "relative": {n: runs[0] for n, runs in lines.items()},
        },
    )


def depth(title: str, lines: Lines, *, log: bool) -> Drawing:
    """A line of medians for each name, and a band over its runs."""
    ends = ", ".join(f"{name} from {runs[0][0]:.2g} to {runs[0][-1]:.2g}" for name, runs in lines.items())
    return Drawing(title, f"{AXIS} by layer: {ends}", partial(_depth, lines=lines, log=log))


def _depth(ax: Axes, *, lines: Lines, log: bool) -> None:
    for color, marker, (name, runs) in zip(COLORS, "os^", lines.items(), strict=False):
        each = [sorted(found) for found in zip(*runs, strict=True)]
        layers = range(len(each))
        ax.fill_between(layers, [e[0] for e in each], [e[-1] for e in each], color=color, alpha=0.2, linewidth=0)
        ax.plot(layers, [e[len(e) // 2] for e in each], color=color, marker=marker, markersize=4, label=name)
    if log:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:.0e}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.set(xlabel="layer", ylabel=AXIS)
    ax.grid(visible=True, axis="y", alpha=0.3)
    ax.legend(frameon=False)
