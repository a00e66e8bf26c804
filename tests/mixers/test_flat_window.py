"""Flat windows by their definition: the path, the groups, what an empty cell does; and the claim on empty slots."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sequary.backbones.occupied import Occupied
from sequary.claims import empty_slots
from sequary.claims.experiments import claim_of
from sequary.core.ctx import Ctx
from sequary.mixers.attention.flat_window import FlatWindowAttention, path
from sequary.ops.forms import form
from sequary.tokens.pillars import Pillars


def walk(rows: int, columns: int, wide: int, tall: int) -> list[int]:
    """Window by window along x, in a window column by column, turning round at each end."""
    found: list[int] = []
    for b, down in enumerate(range(0, rows, tall)):
        for right in list(range(0, columns, wide))[:: 1 - 2 * (b % 2)]:
            inside = [c for c in range(right, right + wide) if c < columns]
            for c in inside[:: 1 - 2 * (b % 2)]:
                turned = (b + c - right) % 2 == 1
                cells = [r for r in range(down, down + tall) if r < rows]
                found += [r * columns + c for r in (reversed(cells) if turned else cells)]
    return found


@pytest.mark.parametrize(("rows", "columns", "wide", "tall"), [(4, 6, 2, 2), (6, 6, 3, 2), (5, 7, 2, 3), (3, 4, 9, 9)])
def test_the_path_turns_round_at_each_end(rows: int, columns: int, wide: int, tall: int) -> None:
    cpu = torch.device("cpu")
    key = path((rows, columns), (wide, tall), "x", shift=False, device=cpu)
    assert key.argsort().tolist() == walk(rows, columns, wide, tall)
    turned = path((columns, rows), (tall, wide), "y", shift=False, device=cpu).view(columns, rows).T.flatten()
    assert turned.argsort().tolist() == walk(rows, columns, wide, tall)


def test_groups_are_full_and_the_last_one_reaches_back() -> None:
    mixer = FlatWindowAttention(8, heads=2, window=(2, 2), group=4).double()
    mask = torch.ones(1, 12, dtype=torch.bool)
    mask[0, 5] = mask[0, 0] = False
    x = torch.randn(1, 12, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    order, count = mixer.sorted(x, Ctx(mask=mask), path((3, 4), (2, 2), "x", shift=False, device=x.device))
    along = order[0, :10].tolist()
    queries, keys = mixer.groups(order, count)
    assert [q for q in queries.flatten().tolist() if q >= 0] == along
    assert keys[0].tolist() == [along[:4], along[4:8], along[6:10]]
    ctx = Ctx(grid=(3, 4), mask=mask)
    with form("reference"):
        slow = mixer(x, ctx)
    torch.testing.assert_close(mixer(x, ctx)[mask], slow[mask], rtol=0, atol=1e-12)


def test_empty_cells_stay_empty_and_are_read_by_no_one() -> None:
    image = -torch.ones(1, 1, 8, 8)
    image[0, 0, :4, :2] = 0.5
    tokens, grid = Pillars(16, channels=1, patch=2)(image)
    held = (tokens != 0).any(-1)
    assert held[0].nonzero().flatten().tolist() == [0, 4]
    backbone = Occupied(16, **Occupied.tiny)
    out = backbone(tokens, Ctx(grid=grid))[-1].x
    assert torch.equal((out != 0).any(-1), held)


def test_groups_leave_fewer_slots_empty_than_windows() -> None:
    claim = claim_of("flatformer")
    small = dataclasses.replace(claim, settings={**claim.settings, "side": 24, "points": 120, "dim": 8})
    found = empty_slots.trial("flatformer", small, 0, {})
    assert found.broken == ""
    assert found.system < 0.1 < found.baseline


def test_a_group_that_misses_a_point_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    true = FlatWindowAttention.groups

    def lost(self: FlatWindowAttention, order: torch.Tensor, count: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return true(self, order, count - 1)

    monkeypatch.setattr(FlatWindowAttention, "groups", lost)
    claim = claim_of("flatformer")
    small = dataclasses.replace(claim, settings={**claim.settings, "side": 24, "points": 120, "dim": 8})
    assert "in no group" in empty_slots.trial("flatformer", small, 0, {}).broken
