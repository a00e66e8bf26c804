"""Error against cost: the points, the front that nobody beats on both, and labels that do not cover each other."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from sequary.compare.board import Candidate
from sequary.compare.columns import one_line
from sequary.compare.figures import FLOOR, INK, MUTED, PAPER, RIVAL, SYSTEM, draw_svg

MARKS = {"system": (SYSTEM, "o", 6.5), "rival": (RIVAL, "D", 6.0), "floor": (FLOOR, "s", 6.0)}
_LONGEST = 28
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""


def front(points: Sequence[Point]) -> list[int]:
    """Indices of the (cost, error) points that no other point beats on both, by rising cost."""
    kept: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: points[i]):
        if not kept or points[i][1] < points[kept[-1]][1]:
            kept.append(i)
    return kept


def pareto(candidates: Sequence[Candidate], metric: str, cost: str, words: tuple[str, str], alt: str) -> Markup:
    """`cost` is the field of a candidate that goes on the x axis; `words` name the two axes."""
    costs = [float(getattr(c, cost)) for c in candidates]
    errors = [c.metrics[metric] for c in candidates]
    x, y, names = _with_room_for_zero(costs), *_within_sight(candidates, errors)

    def draw(ax: Axes) -> None:
        best = front(list(zip(x, errors, strict=True)))
        corners = [(x[i], y[i]) for i in best]
        ax.plot(*zip(*corners, strict=True), color=MUTED, linewidth=1.2, drawstyle="steps-post")
        for c, at, error in zip(candidates, x, y, strict=True):
            color, marker, size = MARKS[c.kind]
            ax.plot([at], [error], marker, color=color, markersize=size, markeredgecolor=PAPER, markeredgewidth=1)
        _axes(ax, x, costs)
        ax.set_xlabel(words[0])
        ax.set_ylabel(words[1])
        _label(ax, list(zip(x, y, strict=True)), names, best)

    return draw_svg(draw, 410, 330, 11, cost, alt)


def _within_sight(candidates: Sequence[Candidate], errors: Sequence[float]) -> tuple[list[float], list[str]]:
    """Heights and labels. The hopeless stand at the top edge with their error in words: the others need the room."""
    floors = [e for c, e in zip(candidates, errors, strict=True) if c.kind == "floor"]
    top = 1.35 * max(statistics.median(errors), min(floors, default=-math.inf))
    names = [one_line(c.id) for c in candidates]
    names = [n if len(n) <= _LONGEST else f"{n[: _LONGEST - 1]}…" for n in names]
    if top <= 0:
        return list(errors), names
    names = [n if e <= top else f"{n} ↑ {e:.3g}" for n, e in zip(names, errors, strict=True)]
    return [min(e, top) for e in errors], names


def _with_room_for_zero(costs: Sequence[float]) -> list[float]:
    """A log axis has no zero: what costs nothing stands a decade left of the cheapest, on a tick that says 0."""
    paid = [c for c in costs if c > 0]
    return [c if c > 0 else min(paid, default=1.0) / 10 for c in costs]


def _axes(ax: Axes, x: Sequence[float], costs: Sequence[float]) -> None:
    ax.set_xscale("log")
    ax.set_xlim(min(x) / 1.6, max(x) * 1.6)
    low, high = (math.floor(math.log10(c)) for c in ax.get_xlim())
    free = min((c for c in costs if c > 0), default=math.inf) if min(costs) <= 0 else 0.0
    marks = [10.0**k * m for k in range(low, high + 1) for m in ((1, 3) if high - low < 3 else (1,))]
    marks = [m for m in marks if ax.get_xlim()[0] <= m <= ax.get_xlim()[1] and m >= free * 0.5]
    ticks = [(x[costs.index(0)], "0")] if min(costs) <= 0 else []
    ticks += [(m, f"{m:g}") for m in marks]
    ax.xaxis.set_major_locator(FixedLocator([at for at, _ in ticks]))
    ax.xaxis.set_major_formatter(FixedFormatter([text for _, text in ticks]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.margins(y=0.13)


def _label(ax: Axes, points: list[Point], names: list[str], best: list[int]) -> None:
    """Greedy: each name takes, of 72 places around its point, the nearest that covers least; a thin line where far."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # the layout is settled: from here on positions are pixels
    frame = ax.get_window_extent()
    area: Box = (frame.x0 + 6, frame.y0, frame.x1, frame.y1)  # clear of the tick labels
    spots: list[Point] = [tuple(ax.transData.transform(p).tolist()) for p in points]
    taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y in spots]
    for (left, high), (right, low) in itertools.pairwise(spots[i] for i in best):  # the steps of the front
        taken += [(left, high - 2, right, high + 2), (right - 2, low, right + 2, high)]
    for i in sorted(range(len(points)), key=lambda i: (i not in best, -spots[i][0])):
        text = ax.text(0, 0, names[i], color=INK if i in best else MUTED, fontsize=10, va="center", ha="center")
        size = text.get_window_extent()
        around = itertools.product((7, 16, 28, 42, 58, 76), range(0, 360, 30))
        places = [_place(spots[i], size.width, size.height, radius, angle) for radius, angle in around]
        box = min(places, key=lambda b: _covered(b, taken, area))
        taken.append(box)
        _put(ax, text, box, spots[i])


def _place(spot: Point, width: float, height: float, radius: float, angle: int) -> Box:
    """The box of that size whose edge is `radius` away from the spot, in that direction."""
    x = spot[0] + math.cos(math.radians(angle)) * (radius + width / 2)
    y = spot[1] + math.sin(math.radians(angle)) * (radius + height / 2)
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _covered(box: Box, taken: Sequence[Box], area: Box) -> float:
    """Square pixels of what the box would cover, and of what of it would stick out of the axes."""
    outside = _shared(box, box) - _shared(box, area)
    return round(outside + sum(_shared(box, other) for other in taken), 3)


def _shared(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _put(ax: Axes, text: Text, box: Box, spot: Point) -> None:
    pixels = ax.transData.inverted()
    text.set_position(tuple(pixels.transform(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))))
    near = (min(max(spot[0], box[0]), box[2]), min(max(spot[1], box[1]), box[3]))
    if math.dist(near, spot) > 14:
        line = pixels.transform([near, spot])
        ax.plot(line[:, 0], line[:, 1], color=MUTED, linewidth=0.5, scalex=False, scaley=False, zorder=1)
