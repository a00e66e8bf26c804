"""The quantile head."""

from __future__ import annotations

import pytest
import torch

from sequary.heads.quantiles import Quantiles


def head(*bias: float, levels: tuple[float, ...] = (0.1, 0.5, 0.9)) -> Quantiles:
    """Says `bias` whatever it is given."""
    made = Quantiles(4, levels=levels).double()
    with torch.no_grad():
        made.out.weight.zero_()
        made.out.bias.copy_(torch.tensor(bias))
    return made


@torch.no_grad()
def test_sorted_and_interpolated() -> None:
    hidden = torch.zeros(2, 4, dtype=torch.float64)
    said = head(3.0, 2.0, 1.0).quantiles(hidden, (0.1, 0.3, 0.5, 0.8, 0.9))
    assert torch.allclose(said[0], torch.tensor([1.0, 1.5, 2.0, 2.75, 3.0], dtype=torch.float64))
    assert head(3.0, 2.0, 1.0).mean(hidden).tolist() == [2.0, 2.0]


@torch.no_grad()
def test_pinball_by_hand() -> None:
    loss = head(-1.0, 0.0, 1.0).loss(torch.zeros(1, 4, dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64))
    assert float(loss) == pytest.approx((0.1 * 3 + 0.5 * 2 + 0.9 * 1) / 3)


def test_a_level_outside_is_refused() -> None:
    with pytest.raises(ValueError, match=r"level 0\.95 is outside of what was learnt, 0\.1 to 0\.9"):
        head(0.0, 0.0, 0.0).quantiles(torch.zeros(1, 4, dtype=torch.float64), (0.95,))


@pytest.mark.parametrize("levels", [(), (0.5, 0.1), (0.5, 0.5), (0.0, 0.5), (0.5, 1.0)])
def test_levels_that_make_no_sense_are_refused(levels: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must ascend between 0 and 1"):
        Quantiles(4, levels=levels)
