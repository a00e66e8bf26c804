"""Blocks with an identity path from input to output, and gates in place of its sums (Parisotto et al., GTrXL, arXiv 1910.06764)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.norms import LayerNorm, Norm
from sequary.blocks.residual import Apply, Branched
from sequary.core.contracts import Member, Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP


class Meeting(Member):
    """How a branch's output y meets the stream x: [B, T, D], [B, T, D] -> [B, T, D]."""

    def forward(self, x_BTD: Tensor, y_BTD: Tensor) -> Tensor:
        raise NotImplementedError


class Sum(Meeting):
    """x + y: TrXL-I."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x_BTD: Tensor, y_BTD: Tensor) -> Tensor:
        return x_BTD + y_BTD


class GRUGate(Meeting):
    """(1 − z) x + z h, with r = σ(W_r y + U_r x), z = σ(W_z y + U_z x − b), h = tanh(W_g y + U_g (r ⊙ x)).

    b starts at `bias`: above 0, z starts small and the block near the identity.
    """

    def __init__(self, dim: int, *, bias: float = 2.0) -> None:
        super().__init__()
        self.branch = nn.Linear(dim, 3 * dim, bias=False)
        """W_r, W_z, W_g."""
        self.stream = nn.Linear(dim, 2 * dim, bias=False)
        """U_r, U_z."""
        self.reset = nn.Linear(dim, dim, bias=False)
        """U_g."""
        self.bias = nn.Parameter(torch.full((dim,), float(bias)))

    def forward(self, x_BTD: Tensor, y_BTD: Tensor) -> Tensor:
        wr, wz, wg = self.branch(y_BTD).chunk(3, -1)
        ur, uz = self.stream(x_BTD).chunk(2, -1)
        z = torch.sigmoid(wz + uz - self.bias)
        h = torch.tanh(wg + self.reset(torch.sigmoid(wr + ur) * x_BTD))
        return (1 - z) * x_BTD + z * h


class IdentityMap(Branched):
    """x ← meet(x, relu(part(norm(x)))) for each of `parts` in turn.

    The norm acts on the branch's input alone; the ReLU stands between the linear map that ends a branch and the next that begins one.
    """

    tiny = {"parts": (part(CausalAttention, heads=2), part(MLP))}

    def __init__(
        self,
        dim: int,
        *,
        parts: tuple[Part[Mixer], ...],
        meet: Part[Meeting] = part(GRUGate),
        norm: Part[Norm] = part(LayerNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__(dim, parts=parts, norm=norm, place=place)
        self.meets = nn.ModuleList(meet.build(Place.here(place, dim)) for _ in parts)

    def around(self, branch: int, x_BTD: Tensor, apply: Apply, ctx: Ctx) -> Tensor:
        return self.meets[branch](x_BTD, F.relu(apply(self.norms[branch](x_BTD, ctx))))
