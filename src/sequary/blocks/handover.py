"""How a coarse stage hands over to a finer one: a vector for each part of a patch, and where that vector meets the part.

The paper (MEGABYTE, arXiv 2305.07185, section 2) and the MEGABYTE-pytorch package differ in both.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Member


class Slices(Member):
    """[N, D] -> [N, count, width]: what the parts of each patch are told."""

    def forward(self, x_ND: Tensor) -> Tensor:
        raise NotImplementedError


class SharedSlices(Slices):
    """The vector is cut into `count` pieces, and one linear map takes each to `width`."""

    tiny = {"count": 4, "width": 6}

    def __init__(self, dim: int, *, count: int = 4, width: int = 128) -> None:
        super().__init__()
        if dim % count:
            raise ValueError(f"count={count} does not divide dim={dim}; use a width of {count * -(-dim // count)}")
        self.count = count
        self.out = nn.Linear(dim // count, width, bias=False)
        # What it says to a part is added to the part's embedding, and starts as large: larger, it drowns the symbols.
        nn.init.normal_(self.out.weight, std=0.02 * (dim // count) ** -0.5)

    def forward(self, x_ND: Tensor) -> Tensor:
        return self.out(x_ND.unflatten(-1, (self.count, -1)))


class OwnSlices(Slices):
    """Each part has a linear map of the whole vector."""

    tiny = {"count": 4, "width": 6}

    def __init__(self, dim: int, *, count: int = 4, width: int = 128) -> None:
        super().__init__()
        self.count = count
        self.out = nn.Linear(dim, count * width)

    def forward(self, x_ND: Tensor) -> Tensor:
        return self.out(x_ND).unflatten(-1, (self.count, -1))


class Meets(Protocol):
    """P parts of a patch stand behind a start vector; position j of the finer stage has seen j of them."""

    def enter(self, start_D: Tensor, parts_NPD: Tensor, slices_NPD: Tensor) -> Tensor:
        """[N, P or P + 1, D]: the input of the finer stage."""
        ...

    def leave(self, out_BNPD: Tensor) -> Tensor:
        """[B, T, D]: the output from which the part after part t is predicted, for t = 0, 1 … of a row."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Before:
    """Slice j meets the position that predicts part j; the first part of a patch is predicted from the patch's own slice (paper)."""

    def enter(self, start_D: Tensor, parts_NPD: Tensor, slices_NPD: Tensor) -> Tensor:
        start = start_D.expand(len(parts_NPD), 1, -1)
        return torch.cat((start, parts_NPD[:, :-1]), 1) + slices_NPD

    def leave(self, out_BNPD: Tensor) -> Tensor:
        return out_BNPD.flatten(1, 2)[:, 1:]


@dataclasses.dataclass(frozen=True, slots=True)
class After:
    """Slice j meets part j itself; the first part of a patch is predicted at the end of the patch before (MEGABYTE-pytorch)."""

    def enter(self, start_D: Tensor, parts_NPD: Tensor, slices_NPD: Tensor) -> Tensor:
        start = start_D.expand(len(parts_NPD), 1, -1)
        return torch.cat((start, parts_NPD), 1) + F.pad(slices_NPD, (0, 0, 1, 0))

    def leave(self, out_BNPD: Tensor) -> Tensor:
        return out_BNPD[:, :, 1:].flatten(1, 2)
