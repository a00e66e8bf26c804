"""How one symbol is chosen from logits."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import torch
from torch import Tensor


class Choice(Protocol):
    def __call__(self, logits: Tensor, rng: torch.Generator) -> Tensor:
        """[..., V] -> [...] symbols."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Likeliest:
    """argmax."""

    def __call__(self, logits: Tensor, rng: torch.Generator) -> Tensor:
        return logits.argmax(-1)


@dataclasses.dataclass(frozen=True, slots=True)
class Drawn:
    """A sample at `temperature`, from the `top_k` likeliest symbols (0: all), then from the fewest that hold mass `top_p`."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature <= 0 or not 0 < self.top_p <= 1 or self.top_k < 0:
            raise ValueError(
                f"{self}: temperature must be above 0 (use Likeliest for 0), top_p in (0, 1], top_k at least 0"
            )

    def __call__(self, logits: Tensor, rng: torch.Generator) -> Tensor:
        chance = self.narrowed(logits / self.temperature).softmax(-1)
        return torch.multinomial(chance.flatten(0, -2), 1, generator=rng).view(logits.shape[:-1])

    def narrowed(self, logits: Tensor) -> Tensor:
        """The logits with what `top_k` and `top_p` leave out at −inf."""
        if self.top_k and self.top_k < logits.shape[-1]:
            least = logits.topk(self.top_k).values[..., -1:]
            logits = logits.masked_fill(logits < least, float("-inf"))
        if self.top_p < 1:
            ranked, place = logits.sort(-1, descending=True)
            before = ranked.softmax(-1).cumsum(-1) - ranked.softmax(-1)
            out = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, place, before >= self.top_p)
            logits = logits.masked_fill(out, float("-inf"))
        return logits
