"""What a softmax over the past keeps of it."""

from __future__ import annotations

import torch

from sequary.ops.running_softmax import normalised


def test_the_last_sum_is_no_view_of_all() -> None:
    k = torch.randn(2, 64, 3, 5, generator=torch.Generator().manual_seed(0))
    for begins in (None, (torch.arange(64) == 9).expand(2, -1)):
        _, _, last = normalised(k, k.new_zeros(2, 3, 5), None, begins)
        assert last.untyped_storage().nbytes() == last.nbytes
