"""Rotary positions of other code bases in the order of ours, which turns (first half, second half) of a head in pairs.

Scores do not change when the features of queries and keys change places alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.convert.declined import Declined


def halves(weight: Tensor, width: int, *, turned: int, neighbours: bool) -> Tensor:
    """Rows [H · `width`, ...] of a query's or key's map, whose first `turned` features of a head turn, in our order.

    Theirs turn in pairs (0, 1), (2, 3) … if `neighbours`, else (0, `turned` / 2), (1, `turned` / 2 + 1) …
    """
    pairs = torch.arange(turned).view(-1, 2).mT if neighbours else torch.arange(turned).view(2, -1)
    still = torch.arange(turned, width).view(2, -1)
    return weight.unflatten(0, (-1, width))[:, torch.cat((pairs, still), 1).flatten()].flatten(0, 1)


def rates(base: float, width: int, *, turned: int) -> tuple[float, ...]:
    """Of the pairs of a head of `width` features: the `turned` ones, then 0 for those that stand still."""
    if turned % 2 or width % 2:
        raise Declined(f"partial_rotary_factor: {turned} of {width} features of a head would turn in pairs")
    moving = base ** (-torch.arange(turned // 2, dtype=torch.float64) / (turned // 2))
    return (*moving.tolist(), *(0.0 for _ in range((width - turned) // 2)))
