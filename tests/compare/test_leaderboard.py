from __future__ import annotations

import csv
import dataclasses
import io

import pytest
from rich.console import Console

from sequary.compare.board import Board, Candidate
from sequary.compare.columns import columns, cost, count, digits, p_value, percent
from sequary.compare.leaderboard import csv_text, plain, show


def printed(board: Board, width: int) -> str:
    out = io.StringIO()
    show(board, Console(file=out, force_terminal=True, color_system=None, width=width))
    return out.getvalue()


def test_plain_lists_everyone_once_and_ends_with_the_verdict(forecast_board: Board) -> None:
    lines = plain(forecast_board).splitlines()
    assert lines[0].split()[:4] == ["#", "system", "kind", "MASE"]
    assert [line.split()[1] for line in lines[1:11]] == [c.id for c in forecast_board.candidates[:10]]
    assert lines[-1] == forecast_board.verdict
    assert len(lines) == 1 + 12 + 1
    assert not any("\x1b" in line for line in lines)


def test_plain_marks_best_ties_worse_floors_and_failures(forecast_board: Board) -> None:
    by_id = {
        line.split()[1 if line.lstrip()[0].isdigit() else 0]: line for line in plain(forecast_board).splitlines()[1:-1]
    }
    assert by_id["patchtst"].endswith("best")
    assert by_id["dlinear"].endswith("tie, p 0.21")
    assert by_id["temporal-fusion-transformer"].endswith("worse, p 0.048")
    assert by_id["drift"].endswith("worse, p <0.001")
    assert " floor " in by_id["seasonal-naive"]
    assert " rival " in by_id["auto-ets"]
    assert by_id["./mine.py"] == (
        "./mine.py  crashed: RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x96 and 64x24) "
        "in mine.py line 41"
    )
    assert by_id["megabyte"].startswith("megabyte  too large: needs 21.4 GB")


def test_too_little_data_is_said(text_board: Board) -> None:
    line = next(line for line in plain(text_board).splitlines() if " ngram " in line)
    assert line.endswith("too little data")
    assert "bits per byte" in plain(text_board)


def test_not_a_terminal_prints_the_plain_form(forecast_board: Board) -> None:
    out = io.StringIO()
    show(forecast_board, Console(file=out, width=40))
    assert out.getvalue() == plain(forecast_board)


def test_wide_terminal_shows_every_column(forecast_board: Board) -> None:
    text = printed(forecast_board, 250)
    for column in columns(forecast_board):
        assert column.head in text.splitlines()[0]
    assert "not shown" not in text


@pytest.mark.parametrize("width", [80, 100, 140])
def test_narrow_terminal_drops_whole_columns_and_names_them(forecast_board: Board, width: int) -> None:
    text = printed(forecast_board, width)
    assert "memory MB" not in text.splitlines()[0]
    assert "not shown for want of width: memory MB" in text
    for candidate in forecast_board.candidates:
        assert candidate.id in text  # never cut
    assert "tie, p 0.21" in text
    assert "MASE" in text.splitlines()[0]


def test_nothing_from_outside_reaches_the_terminal_as_a_command(forecast_board: Board) -> None:
    bad = Candidate(id="a\x1b[2Jb", title="", kind="system", status="crashed", error="[red]x[/red]\r\n\x07")
    board = dataclasses.replace(forecast_board, candidates=[*forecast_board.candidates, bad])
    for text in (plain(board), printed(board, 250)):
        assert "a [2Jb  crashed: [red]x[/red]" in text
        assert "\x1b[2J" not in text
        assert "\x07" not in text


def test_a_board_where_all_failed(forecast_board: Board) -> None:
    board = dataclasses.replace(
        forecast_board, candidates=forecast_board.candidates[10:], verdict="Nothing ran.", ties=[]
    )
    assert plain(board).splitlines()[-1] == "Nothing ran."
    assert "mine.py" in printed(board, 80)
    assert csv_text(board).count("\n") == 3


def test_csv_holds_every_candidate_and_number(forecast_board: Board) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(forecast_board))))
    assert [r["id"] for r in rows] == [c.id for c in forecast_board.candidates]
    first, floor, crashed = rows[0], rows[6], rows[10]
    assert (first["rank"], first["mase"], first["params"]) == ("1", "0.712", "412000")
    assert first["mase_sd_seeds"] == "0.006"
    assert first["setting"] == '{"lr": 0.001, "dim": 64, "dropout": 0.1}'
    assert (rows[1]["best_is"], rows[1]["p"]) == ("tie", "0.62")
    assert (floor["kind"], floor["mase_sd_seeds"], floor["coverage_80"]) == ("floor", "", "")
    assert (crashed["rank"], crashed["mase"], crashed["status"]) == ("", "", "crashed")
    assert "\n" not in crashed["error"]


def test_a_score_that_is_not_finite_does_not_rank(forecast_board: Board) -> None:
    odd = dataclasses.replace(forecast_board.candidates[7], metrics={"mase": float("nan")}, error="diverged at step 40")
    board = dataclasses.replace(forecast_board, candidates=[*forecast_board.candidates[:7], odd])
    assert "gla  ok: diverged at step 40" in plain(board)
    assert "nan" not in csv_text(board)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.712, 2.0, None], ["0.712", "2.000", ""]),
        ([1234.5, 98765.4], ["1234", "98765"]),
        ([0.00312, 0.5], ["0.00312", "0.50000"]),
        ([2.5e-8, 1e-6], ["2.50e-08", "1.00e-06"]),
        ([3.1e9], ["3.10e+09"]),
        ([0.0, 0.0], ["0", "0"]),
        ([float("inf"), 1.0], ["", "1.00"]),
    ],
)
def test_digits(values: list[float | None], texts: list[str]) -> None:
    assert digits(values) == texts


def test_short_numbers() -> None:
    assert [cost(v) for v in (0, 0.0123, 1.234, 12.34, 123.4, 1234.5)] == ["0", "0.012", "1.2", "12", "123", "1234"]
    assert [count(n) for n in (0, 950, 12_345, 1_240_000, 38_700_000_000)] == ["0", "950", "12.3 k", "1.24 M", "38.7 B"]
    assert [percent(v) for v in (-18.25, 0, 131.0)] == ["−18.2 %", "0 %", "+131 %"]
    assert [p_value(p) for p in (1e-9, 0.0031, 0.62)] == ["<0.001", "0.0031", "0.62"]
