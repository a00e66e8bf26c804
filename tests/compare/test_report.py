from __future__ import annotations

import dataclasses
import html.parser
import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from sequary.compare.board import Board, Candidate, Fold, Leak
from sequary.compare.figures import axis, curve, forecast
from sequary.compare.pareto import front
from sequary.compare.report import json_text, render, write
from sequary.core.files import OutputError

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(html.parser.HTMLParser):
    """The page as a browser would take it apart: tags and attributes, texts by innermost tag, nesting checked."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(text for tag, text in self.texts if tag not in ("style", "script")).split())


def bare(board: Board, **changes: Any) -> Board:
    """Without what takes long to draw, where a test is about something else."""
    plain = [dataclasses.replace(c, curve=[]) for c in board.candidates]
    return dataclasses.replace(board, **({"candidates": plain, "plots": []} | changes))


@pytest.fixture(name="source", scope="module")
def _source(forecast_board: Board) -> str:
    return render(forecast_board)


@pytest.fixture(name="page", scope="module")
def _page(source: str) -> Page:
    return Page(source)


def test_one_file_that_asks_for_nothing(source: str, page: Page) -> None:
    assert "http:" not in source
    assert "https:" not in source
    assert "@import" not in source
    assert re.findall(r"url\((?!#)", source) == []
    for _, attributes in page.tags:
        for name in ("src", "href", "data", "action", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or value == "data:,"


def test_small_and_the_same_every_time(source: str, forecast_board: Board) -> None:
    assert len(source.encode()) < 1_000_000
    with mpl.rc_context(
        {"xtick.major.size": 20, "axes.xmargin": 0.3, "font.size": 40, "svg.fonttype": "path", "timezone": "Asia/Tokyo"}
    ):
        assert render(forecast_board) == source  # whatever style the user has set for their own figures


def test_twelve_long_candidates_stay_below_a_megabyte(forecast_board: Board) -> None:
    long = [(step, 1.0 / (1 + step), 1.1 / (1 + step)) for step in range(20_000)]
    by_series = {f"a-rather-long-series-name-{i:05d}": 1.0 + i % 7 for i in range(5_000)}
    everyone = [dataclasses.replace(c, curve=long, by_series=by_series) for c in forecast_board.candidates[:6] * 2]
    plots = [
        dataclasses.replace(p, history=[*p.history] * 60, history_times=[*p.history_times] * 60)
        for p in forecast_board.plots * 2
    ]
    assert len(render(dataclasses.replace(forecast_board, candidates=everyone, plots=plots)).encode()) < 1_000_000


def test_what_a_reader_wants_first_comes_first(page: Page, forecast_board: Board) -> None:
    h1 = " ".join(text for tag, text in page.texts if tag == "h1")
    assert h1 == forecast_board.verdict
    sections = [a["id"] for a in page.named("section")]
    assert sections == [
        "leaderboard",
        "forecasts",
        "cost",
        "curves",
        "series",
        "folds",
        "tests",
        "settings",
        "data",
        "manifest",
    ]
    assert "No paired test separates patchtst from itransformer and dlinear" in page.text.replace(" ,", ",").replace(
        " :", ":"
    )
    assert "✓ Leak probe: 96 forecasts probed, greatest shift 0.0." in page.text
    assert {a["href"] for a in page.named("a")} == {f"#{s}" for s in sections}


def test_everyone_is_on_the_page(page: Page, forecast_board: Board) -> None:
    for candidate in forecast_board.candidates:
        assert any(text == candidate.id for _, text in page.texts)
    assert "crashed: RuntimeError: mat1 and mat2 shapes cannot be multiplied" in page.text
    assert "too large: needs 21.4 GB of memory" in page.text
    assert "2 candidates have no score" in page.text


def test_names_from_data_are_text_never_markup(source: str, page: Page) -> None:
    assert "<script>alert" not in source
    assert "</pre>" not in source.split('aria-label="Manifest">')[1].split("</details>")[0].replace("</pre>", "", 1)
    assert page.named("script") == [{"type": "application/json", "id": "board"}, {}]
    assert ("b", "<script>alert('series')</script>") in page.texts
    assert any(a.get("data-series") == "<script>alert('series')</script>" for a in page.named("figure"))


def test_hostile_text_everywhere(forecast_board: Board) -> None:
    """The same hostile name in every place that takes text adds no tag and no attribute to the page."""
    evil = "$x^{$\"><img src=x onerror=alert(1)></script><script>alert(2)</script> {{ 7*7 }} </svg>'"
    tame = "a" * 12

    def everywhere(word: str) -> Page:
        first = dataclasses.replace(forecast_board.candidates[0], title=word, setting={word: word})
        named = dataclasses.replace(forecast_board.candidates[1], id=word)
        failed = Candidate(id=word, title=word, kind="system", status="crashed", error=word)
        plots = [dataclasses.replace(p, series=f"{word}{i}") for i, p in enumerate(forecast_board.plots[:2])]
        return Page(
            render(
                dataclasses.replace(
                    forecast_board,
                    candidates=[first, named, *forecast_board.candidates[2:], failed],
                    plots=plots,
                    data={"file": word, word: [word, {word: word}]},
                    verdict=word,
                    manifest={word: word},
                    leak=Leak(probed=1, max_shift=0.0, suspects=[word]),
                )
            )
        )

    hostile, harmless = everywhere(evil), everywhere(tame)
    drawn = {"svg", "g", "path", "use", "defs", "text", "clippath", "rect"}  # label places differ with their length
    shape = [[(t, sorted(a)) for t, a in page.tags if t not in drawn] for page in (hostile, harmless)]
    assert shape[0] == shape[1]
    assert not any(name.startswith("on") for _, attributes in hostile.tags for name in attributes)
    assert "{{ 7*7 }}" in hostile.text


def test_embedded_numbers_parse_and_cannot_end_their_script(source: str, forecast_board: Board) -> None:
    raw = source.split('<script type="application/json" id="board">')[1].split("</script>")[0]
    assert "<" not in raw
    board = json.loads(raw)
    assert [c["id"] for c in board["candidates"]] == [c.id for c in forecast_board.candidates]
    assert board["candidates"][0]["metrics"]["mase"] == 0.712
    assert board["manifest"]["note"] == "</pre>"


def test_figures_say_what_they_show_and_follow_the_page(page: Page) -> None:
    figures = [a for a in page.named("svg") if a.get("role") == "img"]
    assert len(figures) == 9 + 2 + 5
    assert all(a["aria-label"] for a in figures)
    assert any(
        "on the front, cheapest first: last-value, seasonal-naive, dlinear, itransformer, patchtst"
        in str(a["aria-label"])
        for a in figures
    )
    colors = {
        c for _, a in page.tags if (style := a.get("style")) for c in re.findall(r"(?:fill|stroke): ([^;]+)", style)
    }
    assert all(c == "none" or c.startswith("var(--") for c in colors), colors


def test_ids_are_unique_and_every_reference_is_met(source: str, page: Page) -> None:
    ids = [str(a["id"]) for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([\w.-]+)', source)) <= set(ids)


def test_tables_scroll_in_a_box_that_the_keyboard_reaches(source: str, page: Page) -> None:
    boxes = [a for a in page.named("div") if str(a.get("class", "")).startswith("scroll")]
    assert len(boxes) == len(page.named("table"))
    assert all(a["tabindex"] == "0" and a["role"] == "region" and a["aria-label"] for a in boxes)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in source
    assert all(a.get("scope") for a in page.named("th") if "picture" not in str(a.get("class")))


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_contrast(source: str, mode: int) -> None:
    """WCAG AA: every colour of text on every ground that it stands on."""
    colors = dict(re.findall(r"--(\w+): (#\w+)", source.split(":root {")[mode + 1].split("}")[0]))

    def light(color: str) -> float:
        digits = color[1:] if len(color) == 7 else "".join(2 * c for c in color[1:])
        rgb = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    for text in ("ink", "muted", "system", "good", "bad", "warn"):
        for ground in ("paper", "chosen", "soft"):
            low, high = sorted((light(colors[text]), light(colors[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
    for mark in ("system", "rival", "floor"):
        low, high = sorted((light(colors[mark]), light(colors["paper"])))
        assert (high + 0.05) / (low + 0.05) >= 3.0, mark


def test_numbers_carry_what_to_sort_by(page: Page) -> None:
    values = [a["data-v"] for a in page.named("td") if a.get("class") == "main"]
    assert values == ["0.712", "0.719", "0.731", "0.744", "0.768", "0.823", "0.871", "0.902", "1.934", "2.012"]


def test_many_series_are_cut_and_it_says_so(page: Page) -> None:
    assert (
        "The 10 series with the greatest gain and the 10 with the least; the other 20 are in board.json." in page.text
    )
    assert sum(a.get("class") == "name" for a in page.named("th")) == 20


def test_series_without_any_error_of_the_floor_are_counted(forecast_board: Board) -> None:
    best, *others = forecast_board.candidates
    floor = next(c for c in others if c.id in forecast_board.floors)
    kept = list(best.by_series)[:5]
    mine = dataclasses.replace(best, by_series=dict(zip(kept, (0.1, 0.2, 0.3, 0.4, 0.5), strict=True)))
    theirs = dataclasses.replace(floor, by_series=dict(zip(kept, (0.0, 0.0, 0.0, 0.5, 0.6), strict=True)))
    board = bare(forecast_board, candidates=[mine, *(theirs if c is floor else c for c in others)])
    text = Page(render(board)).text
    assert "on 2 of 5 series" in text
    assert "makes no error at all on 3 of them" in text


def test_bands_are_those_that_there_are(forecast_board: Board) -> None:
    best = forecast_board.candidates[0].id
    plot = forecast_board.plots[0]
    mine = plot.forecasts[best]
    lines = {"mean": mine["mean"], "lo90": mine["lo80"], "hi90": mine["hi80"]}
    text = render(bare(forecast_board, plots=[dataclasses.replace(plot, forecasts=plot.forecasts | {best: lines})]))
    assert f"{best}, 90 % band<" in text
    assert (
        forecast(plot, best, None, "a", "a").count("<path")
        == forecast(dataclasses.replace(plot, forecasts={best: lines}), best, None, "a", "a").count("<path") + 1
    )
    assert "80 and 95 % bands" in render(bare(forecast_board, plots=[plot]))


def test_text_task_has_no_empty_sections(text_board: Board) -> None:
    page = Page(render(text_board))
    assert [a["id"] for a in page.named("section")] == [
        "leaderboard",
        "cost",
        "curves",
        "folds",
        "tests",
        "data",
        "manifest",
    ]
    assert "bits per byte" in page.text
    assert "Too little data to separate gla from ngram" in page.text
    assert "band" not in page.text
    assert "1 origin chose settings" in page.text


@pytest.mark.parametrize(
    ("leak", "said", "tone"),
    [
        (
            Leak(probed=12, max_shift=0.0312),
            "✗ Leak probe: 12 forecasts probed, greatest shift 0.0312. What was hidden reached",
            "bad",
        ),
        (Leak(probed=12, max_shift=float("nan")), "✗ Leak probe: 12 forecasts probed, greatest shift nan", "bad"),
        (Leak(probed=0, max_shift=0.0), "Leak probe: it did not run", "warn"),
        (
            Leak(probed=8, max_shift=0.0, suspects=["covariate t equals y shifted by 24 rows"]),
            "✗ covariate t equals y",
            "good",
        ),
    ],
)
def test_a_leak_is_said_before_anything_else(forecast_board: Board, leak: Leak, said: str, tone: str) -> None:
    page = Page(render(bare(forecast_board, candidates=forecast_board.candidates[6:7], leak=leak)))
    assert said in page.text.split("Leaderboard")[0]
    assert any(a.get("class") == f"state {tone}" for a in page.named("p"))


def test_boards_with_little_on_them(forecast_board: Board) -> None:
    few = dataclasses.replace(
        forecast_board,
        candidates=forecast_board.candidates[10:],
        ties=[],
        plots=[],
        folds=[],
        manifest={},
        data={},
        verdict="Nothing ran.",
    )
    page = Page(render(few))
    assert [a["id"] for a in page.named("section")] == ["leaderboard", "data", "manifest"]
    assert "crashed: RuntimeError" in page.text
    one = dataclasses.replace(few, candidates=forecast_board.candidates[6:7], folds=forecast_board.folds[:1])
    assert "seasonal-naive" in Page(render(one)).text


def test_floor_on_top_is_drawn_against_the_runner_up(forecast_board: Board) -> None:
    order = [forecast_board.candidates[6], *forecast_board.candidates[:2]]
    page = Page(render(bare(forecast_board, candidates=order, ties=[])))
    assert "seasonal-naive has the lower MASE on" in page.text
    assert "of 40 series, against patchtst" in page.text


def test_integer_times_and_missing_truth(forecast_board: Board) -> None:
    plot = forecast_board.plots[0]
    counted = dataclasses.replace(
        plot,
        history_times=[str(20240000 + i) for i in range(len(plot.history))],
        times=[str(20240000 + len(plot.history) + i) for i in range(len(plot.times))],
        truth=[None] * len(plot.times),
    )
    drawn = str(forecast(counted, "patchtst", None, "f", "alt"))
    assert "2024015" in drawn or "2024016" in drawn
    assert list(axis(["-3", "20240101"])) == [-3.0, 20240101.0]
    assert [t.hour for t in axis(["2024-01-01T06:00:00+02:00", "2024-01-01T07:00:00+02:00"])] == [6, 7]


def test_a_diverged_curve_is_drawn(forecast_board: Board) -> None:
    steps: list[tuple[int, float, float | None]] = [
        (0, 1e4, None),
        (5, float("inf"), 2.0),
        (10, float("nan"), None),
        (15, 1e-3, 1.0),
    ]
    assert str(curve(dataclasses.replace(forecast_board.candidates[0], curve=steps), "c", "alt")).startswith("<svg")


@pytest.mark.parametrize(
    ("points", "kept"),
    [
        ([(1, 3), (2, 2), (3, 1)], [0, 1, 2]),
        ([(1, 1), (2, 2), (0, 3)], [2, 0]),
        ([(1, 2), (1, 1)], [1]),
        ([(1, 1), (2, 1)], [0]),
        ([], []),
    ],
)
def test_front(points: list[tuple[float, float]], kept: list[int]) -> None:
    assert front(points) == kept


def labels(svg: str, names: set[str]) -> dict[str, tuple[float, float, float, float]]:
    """Boxes of the labels: centred at x; ten-pixel letters are at most 6.4 wide and 11 high."""
    found = {}
    for x, y, text in re.findall(r'<text [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        name = text.split(" ↑")[0]
        if name in names:
            half = 0.5 * 5.0 * len(text)
            found[name] = (float(x) - half, float(y) - 8, float(x) + half, float(y) + 1)
    return found


def test_labels_of_the_front_do_not_cover_each_other(source: str, forecast_board: Board) -> None:
    names = {c.id for c in forecast_board.candidates[:10]}
    for svg in source.split('id="cost"')[1].split("</section>")[0].split("<svg")[1:]:
        boxes = labels(svg, names)
        assert set(boxes) == names
        for a in names:
            for b in names - {a}:
                (ax, ay, aX, aY), (bx, by, bX, bY) = boxes[a], boxes[b]
                assert aX <= bx or bX <= ax or aY <= by or bY <= ay, (a, b)


def test_write_leaves_three_files(tmp_path: Path, forecast_board: Board) -> None:
    page = write(forecast_board, tmp_path / "out")
    assert page == tmp_path / "out" / "report.html"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["board.csv", "board.json", "report.html"]
    loaded: dict[str, Any] = json.loads((tmp_path / "out" / "board.json").read_text(encoding="utf-8"))
    assert set(loaded) == {f.name for f in dataclasses.fields(Board)}
    assert loaded == json.loads(json.dumps(forecast_board.plain()))


def test_write_where_the_folder_is_a_file(tmp_path: Path, text_board: Board) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match=r"its parent .*out is a file"):
        write(text_board, tmp_path / "out")


def test_json_has_no_nan(text_board: Board) -> None:
    board = dataclasses.replace(
        text_board, leak=Leak(probed=1, max_shift=float("nan")), folds=[Fold(origin="1", role="board", horizon=1)]
    )
    assert json.loads(json_text(board), parse_constant=lambda word: pytest.fail(word))["leak"]["max_shift"] is None


def test_a_task_that_is_none_names_those_that_are(forecast_board: Board) -> None:
    with pytest.raises(ValueError, match=r"task='os' cannot be compared; there are classify, .*forecast"):
        render(dataclasses.replace(forecast_board, task="os"))


def test_a_page_speaks_of_what_its_task_makes(forecast_board: Board) -> None:
    page = Page(render(dataclasses.replace(forecast_board, task="classify")))
    assert "96 labellings probed" in page.text
    assert "values and class of every series that a fold may not learn from" in page.text
    assert "4 folds chose settings" in page.text
    assert "Labellings against the truth" in page.text
    assert [text for tag, text in page.texts if tag == "a" and "abellings" in text] == ["Labellings"]
    assert "origin" not in page.text
