"""One of the symbols of a table: the input embedding read backwards (Press & Wolf, arXiv 1608.05859)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Head
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.tokens.symbols import Embedding


class SharedSymbols(Head):
    """logits = W h + b, W the table of `words`: tie it to that of the input. Loss in nats."""

    tiny = {"words": part(Embedding, vocab=11)}

    def __init__(self, dim: int, *, words: Part[Embedding], bias: bool = False, place: Place | None = None) -> None:
        super().__init__()
        self.words = words.build(Place.here(place, dim))
        self.bias = nn.Parameter(torch.zeros(self.words.table.num_embeddings)) if bias else None

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., D] -> logits [..., vocab]."""
        return F.linear(hidden, self.words.table.weight, self.bias)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return F.cross_entropy(self(hidden).flatten(0, -2), target.flatten(), reduction="none").view(target.shape)

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        """[...] symbols; temperature 0 takes the likeliest."""
        logits = self(hidden)
        if temperature == 0:
            return logits.argmax(-1)
        chance = (logits / temperature).softmax(-1)
        return torch.multinomial(chance.flatten(0, -2), 1, generator=rng).view(chance.shape[:-1])
