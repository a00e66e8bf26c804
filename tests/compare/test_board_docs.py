"""docs/board.md is the contract of board.json: every field has its row, every row a field, and closed vocabularies are whole."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import typing
from pathlib import Path

import pytest

from sequary.compare import board
from sequary.compare.board import Board, Candidate, Fold, Leak, Pair, Plot, Rung
from sequary.compare.leaderboard import csv_text

DOCS = (Path(__file__).parents[2] / "docs" / "board.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("value", [Board, Candidate, Rung, Pair, Fold, Leak, Plot], ids=lambda v: v.__name__)
def test_fields_and_rows_agree_in_order(value: type) -> None:
    section = DOCS.split(f"\n## {value.__name__}\n")[1].split("\n#")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [f.name for f in dataclasses.fields(value)]


@pytest.mark.parametrize("value", [Candidate, Pair, Fold], ids=lambda v: v.__name__)
def test_closed_vocabularies_are_whole(value: type) -> None:
    section = DOCS.split(f"\n## {value.__name__}\n")[1].split("\n#")[0]
    for hint in typing.get_type_hints(value, dict(vars(board))).values():
        if typing.get_origin(hint) is typing.Literal:
            for word in typing.get_args(hint):
                assert f"`{word}`" in section


def test_csv_columns_are_named(forecast_board: Board) -> None:
    section = DOCS.split("# `board.csv`")[1]
    header = next(csv.reader(io.StringIO(csv_text(forecast_board))))
    metrics = {key for c in forecast_board.candidates for key in c.metrics}
    for column in header:
        if column not in metrics:
            assert re.sub(r"^mase_", "<metric>_", column) in section, column
