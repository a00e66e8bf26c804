"""What stands around the attention of the package routing_transformer: feed-forward, norms, wrappers, embedding and head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.norms import Norm
from sequary.core.contracts import Head, Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part
from sequary.core.place import Place
from sequary.tokens.symbols import Embedding


class Narrow(Embedding):
    """Symbols of another width than the model's, and a map between them."""

    def __init__(self, dim: int, *, vocab: int, width: int) -> None:
        super().__init__(width, vocab=vocab)
        self.up = nn.Identity() if width == dim else nn.Linear(width, dim)

    def forward(self, ids_BT: Tensor, positions_BT: Tensor) -> Tensor:
        return self.up(self.table(ids_BT))


class NarrowHead(Head):
    """The map back, a norm, the logits."""

    def __init__(self, dim: int, *, vocab: int, width: int, bias: bool) -> None:
        super().__init__()
        self.down = nn.Identity() if width == dim else nn.Linear(dim, width)
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, vocab, bias=bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(self.norm(self.down(hidden)))


class FeedForward(Mixer):
    """W2 gelu(W1 x), or with a gate W2 (gelu(a) ⊙ b), (a, b) = W1 x."""

    def __init__(self, dim: int, *, gated: bool) -> None:
        super().__init__()
        self.gated = gated
        self.up, self.down = nn.Linear(dim, 4 * dim * (2 if gated else 1)), nn.Linear(4 * dim, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        a, *b = self.up(x_BTD).chunk(2, -1) if self.gated else (self.up(x_BTD),)
        return self.down(F.gelu(a) * b[0] if b else F.gelu(a))


class ScaleNorm(Norm):
    """x / max(‖x‖, 1e-5) · g."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return x_BTD / x_BTD.norm(dim=-1, keepdim=True).clamp(min=1e-5) * self.g


class Around(Mixer):
    """y = weight · part(x), with the first features of x, in as many groups, moved on by `shifts` tokens before; ReZero and token shift."""

    def __init__(
        self, dim: int, *, part: Part[Mixer], weighted: bool, shifts: tuple[int, ...] = (), place: Place | None = None
    ) -> None:
        super().__init__()
        self.part, self.shifts = part.build(Place.here(place, dim)), shifts
        self.weight = nn.Parameter(torch.zeros(1)) if weighted else None

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        if self.shifts:
            *groups, rest = x_BTD.split(
                [x_BTD.shape[-1] // len(self.shifts)] * len(self.shifts) + [x_BTD.shape[-1] % len(self.shifts)], -1
            )
            groups = [F.pad(g, (0, 0, n, -n)) if n else g for g, n in zip(groups, self.shifts, strict=True)]
            x_BTD = torch.cat((*groups, rest), -1)
        y = self.part(x_BTD, ctx)
        return y if self.weight is None else y * self.weight
