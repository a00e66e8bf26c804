"""The report's figures: matplotlib's object interface (no pyplot state), as small inline SVG that follows the
page.

Colours are stand-ins that become CSS variables, so that one drawing reads in light and in dark; texts stay texts, in
the page's font. Equal boards give equal bytes.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter
from numpy.typing import NDArray

from sequary.compare.board import Candidate, Plot

INK, MUTED, GRID, PAPER = "#010203", "#010204", "#010205", "#010206"
SYSTEM, RIVAL, FLOOR = "#010207", "#010208", "#010209"
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "line",
    PAPER: "paper",
    SYSTEM: "system",
    RIVAL: "rival",
    FLOOR: "floor",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # names may hold dollar signs
    "font.family": ["sans-serif"],
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
    "lines.solid_joinstyle": "round",
}


def bands(plot: Plot, best: str) -> list[str]:
    """Levels of the intervals that `best` gives, in percent, widest first."""
    found = [key.removeprefix("lo") for key in plot.forecasts.get(best, {}) if key.startswith("lo")]
    return sorted(found, key=float, reverse=True)


def forecast(plot: Plot, best: str, other: str | None, name: str, alt: str) -> Markup:
    """Three horizons of history, then the truth in ink, `best` with its bands in colour, `other` (a floor) dashed."""
    shown = max(3 * len(plot.times), 36)
    history = _floats(plot.history[-shown:])

    def draw(ax: Axes) -> None:
        times = axis([*plot.history_times[-shown:], *plot.times])
        past, ahead = times[: len(history)], times[len(history) :]
        mine = plot.forecasts.get(best, {})
        levels = bands(plot, best)
        for level in levels:  # the narrowest is the strongest
            alpha = 0.22 if level == levels[-1] else 0.13
            ax.fill_between(ahead, mine[f"lo{level}"], mine[f"hi{level}"], color=SYSTEM, alpha=alpha, linewidth=0)
        _line(ax, past, history, MUTED, 1.0)
        _line(ax, ahead, _floats(plot.truth), INK, 1.4)
        if other is not None and other in plot.forecasts:
            ax.plot(ahead, _floats(plot.forecasts[other]["mean"]), color=FLOOR, linewidth=1.4, dashes=(2.5, 1.5))
        if "mean" in mine:
            ax.plot(ahead, _floats(mine["mean"]), color=SYSTEM, linewidth=1.8)
        if len(past):
            ax.axvline(past[-1], color=MUTED, linewidth=0.8, dashes=(1, 2))
        _ticks(ax, times)
        ax.margins(x=0.01)

    return draw_svg(draw, 350, 190, 10.5, name, alt)


def curve(candidate: Candidate, name: str, alt: str) -> Markup:
    """Training loss thin, validation loss thick; a log axis where losses span more than a factor of thirty."""

    def draw(ax: Axes) -> None:
        steps = np.array([step for step, _, _ in candidate.curve], dtype=float)
        train, held = _floats([t for _, t, _ in candidate.curve]), _floats([v for _, _, v in candidate.curve])
        every = max(1, len(steps) // 200)
        known = np.flatnonzero(np.isfinite(held))[:: max(1, int(np.isfinite(held).sum()) // 200)]
        ax.plot(steps[::every], train[::every], color=MUTED, linewidth=1.0)
        ax.plot(steps[known], held[known], color=SYSTEM, linewidth=1.8)
        losses = np.concatenate([train[np.isfinite(train)], held[known]])
        if losses.size and losses.min() > 0 and losses.max() > 30 * losses.min():
            ax.set_yscale("log")
            ax.yaxis.set_minor_locator(NullLocator())
        else:
            ax.yaxis.set_major_locator(MaxNLocator(3))
        ax.xaxis.set_major_locator(MaxNLocator(3, integer=True))

    return draw_svg(draw, 220, 130, 11, name, alt)


def axis(times: Sequence[str]) -> NDArray[Any]:
    """Integers (an index, byte offsets) or ISO 8601 times without their zone, which is the same throughout."""
    if all(re.fullmatch(r"[+-]?\d+", t) for t in times):
        return np.array([int(t) for t in times], dtype=float)
    return np.array([dt.datetime.fromisoformat(t).replace(tzinfo=None) for t in times])


def _ticks(ax: Axes, times: NDArray[Any]) -> None:
    ax.yaxis.set_major_locator(MaxNLocator(4))
    if times.dtype == object:
        locator = AutoDateLocator(minticks=2, maxticks=5)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))


def _line(ax: Axes, x: NDArray[Any], y: NDArray[np.float64], color: str, width: float) -> None:
    """A line that is open where a value is missing; a value between two missing ones is a dot."""
    ax.plot(x, y, color=color, linewidth=width)
    seen = np.isfinite(np.concatenate([[np.nan], y, [np.nan]]))
    alone = seen[1:-1] & ~seen[:-2] & ~seen[2:]
    ax.plot(x[alone], y[alone], linestyle="", marker=".", markersize=2.5 * width, color=color, markeredgewidth=0)


def _floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def draw_svg(draw: Callable[[Axes], None], width: int, height: int, font: float, name: str, alt: str) -> Markup:
    """What `draw` puts on axes of `width` x `height` CSS pixels. `name` keeps its ids apart from other figures'."""
    with (
        style.context([_STYLE | {"font.size": font}], after_reset=True),  # whatever the user's own matplotlib style is
        mpl.rc_context({"svg.hashsalt": name, "timezone": "UTC"}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # measured only: the browser draws it
        layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03)
        figure = Figure(figsize=(width / 72, height / 72), dpi=72, layout=layout)
        FigureCanvasAgg(figure)
        draw(figure.subplots())
        raw = io.StringIO()
        figure.savefig(raw, format="svg", transparent=True, metadata={"Date": None})
    return _inline(raw.getvalue(), width, height, alt)


def _inline(svg: str, width: int, height: int, alt: str) -> Markup:
    """Without what a page has or that would clash in it: prologue, metadata, ids that nothing refers to, fonts."""
    body = svg[svg.index("</metadata>") + len("</metadata>") : svg.rindex("</svg>")]
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)
    used = set(re.findall(r'(?:xlink:href="|url\()#(\w+)', body))
    parts = re.split(r"(<[^>]*>)", body)  # tags at odd places, texts at even ones
    parts[1::2] = [_short(tag, used) for tag in parts[1::2]]
    parts[::2] = [text.strip("\n ") if not text.strip() else text for text in parts[::2]]
    head = f'<svg class="figure" viewBox="0 0 {width} {height}" style="max-width:{width * 1.35:.0f}px" role="img"'
    return Markup(f'{head} aria-label="{escape(alt)}">{"".join(parts)}</svg>')


def _short(tag: str, used: set[str]) -> str:
    tag = re.sub(r' id="(\w[\w.]*)"', lambda m: m[0] if m[1] in used else "", tag)
    tag = re.sub(r" font-family: [^;\"]*;", "", tag)
    tag = re.sub(r' transform="rotate\(-0 [^"]*"', "", tag).replace("xlink:href", "href")
    tag = re.sub(r"-?\d+\.\d{2,}", lambda m: f"{float(m[0]):.1f}", tag).replace("\n", " ")
    for color, variable in _VARIABLES.items():
        tag = tag.replace(color, f"var(--{variable})")
    return tag
