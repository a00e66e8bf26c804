from __future__ import annotations

import pytest
import torch

from sequary.ops.forms import form
from sequary.ops.rotary import counted, rotate, turn, turns


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


@pytest.mark.parametrize("name", ["reference", "passes"])
@pytest.mark.parametrize("learns", [False, True])
def test_an_odd_width_is_refused(name: str, learns: bool):
    x_BHTK, positions = torch.randn(1, 2, 4, 3), torch.arange(4)[None]
    cos, sin = turns(positions, 4, base=1e4, dtype=x_BHTK.dtype)
    with form(name), torch.set_grad_enabled(learns):
        for call in (lambda: rotate(x_BHTK, positions), lambda: turn(x_BHTK, cos, sin)):
            with pytest.raises(ValueError, match="the head width 3 is odd: choose dim and heads"):
                call()


def test_angles_kept_from_inference_serve_learning():
    counted.cache_clear()
    given = {"base": 1e4, "dtype": torch.float32, "device": torch.device("cpu")}
    with torch.inference_mode():
        counted(0, 4, 8, **given)
    x_BHTK = torch.randn(1, 2, 4, 8, requires_grad=True)
    turn(x_BHTK, *counted(0, 4, 8, **given)).sum().backward()
    assert x_BHTK.grad is not None
