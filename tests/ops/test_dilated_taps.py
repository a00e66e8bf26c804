"""Dilated taps are the inputs that many tokens back, within their own segment, padding or not."""

from __future__ import annotations

import pytest
import torch

from sequary.ops.dilated_taps import dilated_taps


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_taps_are_dilated_inputs(dilation: int) -> None:
    x = torch.arange(1.0, 10.0)[None, :, None]
    past = torch.zeros(1, 2 * dilation, 1)
    near, _ = dilated_taps(x, past, dilation=dilation)
    for tap, found in enumerate(near):
        back = (2 - tap) * dilation
        assert found[0, :, 0].tolist() == [float(t - back + 1) if t >= back else 0.0 for t in range(9)]


def test_padding_is_skipped_and_segments_end_what_is_seen() -> None:
    x = torch.arange(1.0, 8.0)[None, :, None]
    mask = torch.tensor([[True, False, True, True, True, True, True]])
    starts = torch.tensor([[True, False, False, False, True, False, False]])
    near, past = dilated_taps(x, torch.zeros(1, 2, 1), dilation=2, mask_BT=mask, starts_BT=starts)
    assert near[0][0, [0, 2, 3, 4, 5, 6], 0].tolist() == [0, 0, 1, 0, 0, 5]
    assert past[0, :, 0].tolist() == [6, 7]


def test_a_past_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no multiple of dilation=2"):
        dilated_taps(torch.zeros(1, 4, 1), torch.zeros(1, 3, 1), dilation=2)
