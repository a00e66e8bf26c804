"""What was read, as a folder: one page that needs nothing but itself, the same figures as a picture, and the numbers."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sequary.compare.figures import draw_svg
from sequary.tasks.folders import write_folder

COLORS = ("#2f7fc1", "#d0701e", "#2f9a6c")
"""Of lines: they stand out on white and on dark."""
MARK = "reading.json"
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ page.title }}</title>
<link rel="icon" href="data:,">
<style>
:root { --paper: #fff; --ink: #1b1f24; --muted: #59636e; --line: #d9dee4; --system: #0b62b0; --rival: #a84a00; --floor: #6b7682; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --ink: #e8eaed; --muted: #a2abb5; --line: #343b43; --system: #6db3f8; --rival: #f0a061; --floor: #98a3af; }
}
body { margin: 0 auto; max-width: 1240px; padding: 32px 20px; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 8px; }
h2 { font-size: 1rem; margin: 0 0 6px; }
p, dd { max-width: 46em; overflow-wrap: anywhere; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 360px), 1fr)); gap: 28px 24px; margin-top: 24px; }
main.one { grid-template-columns: minmax(0, 720px); }
figure { margin: 0; }
svg { width: 100%; height: auto; }
.note { color: var(--muted); font-size: 0.875rem; }
</style>
</head>
<body>
<h1>{{ page.title }}</h1>
{% for line in page.lead %}<p>{{ line }}</p>
{% endfor %}
<main{{ ' class="one"'|safe if drawn|length == 1 }}>
{% for title, svg in drawn %}<figure><h2>{{ title }}</h2>{{ svg }}</figure>
{% endfor %}
</main>
<p class="note">The numbers: reading.json{{ " and reading.npz" if page.arrays }}.</p>
</body>
</html>
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Drawing:
    """One figure: `draw` puts it on axes, in colours that read on white and on dark; `alt` says it in words."""

    title: str
    alt: str
    draw: Callable[[Axes], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    title: str
    lead: tuple[str, ...]
    drawings: tuple[Drawing, ...]
    size: tuple[int, int]
    """Width and height of each figure in points."""
    numbers: Mapping[str, Any]
    arrays: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])

    def write(self, folder: str | Path) -> tuple[str, ...]:
        """The names of the files. Raises OutputError; what was there before still is."""
        content: dict[str, bytes | str] = {
            "report.html": self.html(),
            "report.png": self.png(),
            MARK: json.dumps(dict(self.numbers), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        }
        if self.arrays:
            file = io.BytesIO()
            np.savez_compressed(file, **self.arrays)
            content["reading.npz"] = file.getvalue()
        write_folder(Path(folder), content, mark=MARK)
        return tuple(content)

    def html(self) -> str:
        drawn = [
            (each.title, draw_svg(each.draw, *self.size, 10, f"figure{number}", each.alt))
            for number, each in enumerate(self.drawings)
        ]
        engine = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        return engine.from_string(PAGE).render(page=self, drawn=drawn)

    def png(self) -> bytes:
        """All figures side by side on white."""
        count, (width, height) = len(self.drawings), self.size
        columns = math.ceil(math.sqrt(count))
        rows = math.ceil(count / columns)
        with mpl.rc_context({"text.parse_math": False, "font.size": 10}):
            figure = Figure(
                figsize=(columns * width / 72, rows * (height + 18) / 72),
                dpi=110,
                layout="constrained",
                facecolor="white",
            )
            FigureCanvasAgg(figure)
            cells = figure.subplots(rows, columns, squeeze=False).flat
            for each, ax in zip(self.drawings, cells, strict=False):
                each.draw(ax)
                ax.set_title(each.title)
            for ax in figure.axes[count : rows * columns]:
                ax.set_axis_off()
            file = io.BytesIO()
            figure.savefig(file, format="png")
        return file.getvalue()
