"""Gated residual network: a feed-forward that a gate can switch off (Lim et al., arXiv 1912.09363, section 4.1, eq. 2–5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Member
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.ops.dropout import Dropout


class Gate(Member):
    """LayerNorm(skip + GLU(x)), GLU(x) = σ(W4 x + b4) ⊙ (W5 x + b5): [..., inputs] and a skip [..., D] -> [..., D]."""

    def __init__(self, dim: int, *, inputs: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.map = nn.Linear(dim if inputs is None else inputs, 2 * dim)
        """First half values, second half gates."""
        self.norm = nn.LayerNorm(dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.norm(skip + F.glu(self.map(self.dropout(x)), -1))


class Skip(Member):
    """[..., inputs] -> [..., D]: what the residual branch does where the widths differ."""

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class LinearSkip(Skip):
    """A linear map."""

    def __init__(self, dim: int, *, inputs: int | None = None) -> None:
        super().__init__()
        self.map = nn.Linear(dim if inputs is None else inputs, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x)


class ResampledSkip(Skip):
    """LayerNorm(2 σ(m) ⊙ r): r interpolates the features linearly to width D, both ends kept, as pytorch-forecasting does."""

    def __init__(self, dim: int, *, inputs: int | None = None) -> None:
        super().__init__()
        self.mask = nn.Parameter(torch.zeros(dim))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        width = len(self.mask)
        if x.shape[-1] != width:
            rows = x.reshape(-1, 1, x.shape[-1])
            x = F.interpolate(rows, width, mode="linear", align_corners=True).view(*x.shape[:-1], width)
        return self.norm(2 * self.mask.sigmoid() * x)


class GRN(Member):
    """LayerNorm(skip(a) + GLU(W1 ELU(W2 a + W3 c + b2) + b1)): a [..., inputs], c [..., context] or None -> [..., D].

    `hidden` is D unless given; W3 has no bias; `skip` acts only where `inputs` is not D.
    """

    tiny = {"inputs": 6, "context": 5}

    def __init__(
        self,
        dim: int,
        *,
        inputs: int | None = None,
        hidden: int | None = None,
        context: int | None = None,
        skip: Part[Skip] = part(LinearSkip),
        dropout: float = 0.0,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        inputs, hidden = inputs or dim, hidden or dim
        self.up = nn.Linear(inputs, hidden)
        self.context = None if context is None else nn.Linear(context, hidden, bias=False)
        self.further = nn.Linear(hidden, hidden)
        self.gate = Gate(dim, inputs=hidden, dropout=dropout)
        self.skip = None if inputs == dim else skip.but(inputs=inputs).build(Place.here(place, dim))

    def forward(self, a: Tensor, c: Tensor | None = None) -> Tensor:
        h = self.up(a)
        if self.context is not None:
            if c is None:
                raise ValueError("built with a context, but called without one")
            h = h + self.context(c)
        return self.gate(self.further(F.elu(h)), a if self.skip is None else self.skip(a))
