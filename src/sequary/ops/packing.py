"""Rows of different lengths side by side in containers of one length."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def next_fit(counts: Sequence[int], room: int) -> tuple[list[int], int]:
    """(where each row starts, how many containers): rows in order, each whole, in a new container of `room` where the last has no space."""
    starts, container, used = list[int](), 0, 0
    for count in counts:
        if used + count > room:
            container, used = container + 1, 0
        starts.append(container * room + used)
        used += count
    return starts, container + 1


def containers(chosen_BT: Tensor) -> Tensor:
    """[G, L]: the chosen tokens of all rows, numbered b · T + t, −1 in what is left; L = those of the longest row, which is never split."""
    counts = [int(n) for n in chosen_BT.sum(1)]
    room = max(counts, default=0)
    starts, number = next_fit(counts, room)
    first = torch.tensor(starts, device=chosen_BT.device)[:, None]
    rank = chosen_BT.long().cumsum(1) - 1
    index = torch.full((number * room,), -1, device=chosen_BT.device)
    index[(first + rank)[chosen_BT]] = chosen_BT.flatten().nonzero()[:, 0]
    return index.view(number, room)
