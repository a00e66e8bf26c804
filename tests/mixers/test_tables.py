"""Mixers of tables against a loop over rows and columns."""

from __future__ import annotations

import torch

from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.mixers.attention.full import Attention
from sequary.mixers.tables import BetweenRows, InsideRows

ROWS, COLUMNS, DIM = 5, 3, 4
X = torch.randn(2, ROWS * COLUMNS, DIM, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ATTENTION = part(Attention, heads=2)


def test_between_rows_each_row_is_one_token() -> None:
    torch.manual_seed(0)
    mixer = BetweenRows(DIM, inner=ATTENTION, columns=COLUMNS).double()
    rows = X.view(2, ROWS, COLUMNS * DIM)
    torch.testing.assert_close(mixer(X), mixer.inner(rows).view_as(X))


def test_the_order_of_rows_does_not_matter() -> None:
    torch.manual_seed(0)
    mixer = BetweenRows(DIM, inner=ATTENTION, columns=COLUMNS).double()
    turned = X.view(2, ROWS, -1).flip(1).view_as(X)
    torch.testing.assert_close(mixer(turned).view(2, ROWS, -1).flip(1).view_as(X), mixer(X))


def test_inside_rows_each_row_is_alone() -> None:
    torch.manual_seed(0)
    mixer = InsideRows(DIM, inner=ATTENTION, columns=COLUMNS).double()
    for row in range(ROWS):
        at = slice(row * COLUMNS, (row + 1) * COLUMNS)
        torch.testing.assert_close(mixer(X)[:, at], mixer.inner(X[:, at]))


def test_packed_tables_of_incomplete_rows_are_tables_of_their_own() -> None:
    torch.manual_seed(0)
    segments = torch.tensor([1] * 4 + [2] * 7 + [3] * 4).expand(2, -1)
    for mixer in (
        BetweenRows(DIM, inner=ATTENTION, columns=COLUMNS).double(),
        InsideRows(DIM, inner=ATTENTION, columns=COLUMNS).double(),
    ):
        alone = [mixer(part) for part in X.split((4, 7, 4), 1)]
        torch.testing.assert_close(mixer(X, Ctx(segments=segments)), torch.cat(alone, 1))
