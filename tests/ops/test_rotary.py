from __future__ import annotations

import pytest
import torch

from sequary.ops.rotary import rotate


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_late_positions_turn_by_their_own_angle_in_every_precision(dtype: torch.dtype):
    x_BHTK = torch.randn(1, 1, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(dtype)
    positions = torch.tensor([[0, 1, 1001, 4099]])
    exact = rotate(x_BHTK.double(), positions)
    assert (rotate(x_BHTK, positions) - exact).abs().max() < 4 * torch.finfo(dtype).eps


def test_scores_depend_on_distances_alone():
    rng = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 1, 5, 8, dtype=torch.float64, generator=rng) for _ in range(2))
    here, there = (rotate(q, p) @ rotate(k, p).mT for p in (torch.arange(5)[None], torch.arange(700, 705)[None]))
    assert torch.allclose(here, there, atol=1e-12)
