"""What a part may know besides its input: frozen, typed, and never more than ten fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor


class Tape:
    """Where parts leave what only a listener wants: an auxiliary loss, attention weights. Grows in the order of the layers."""

    def __init__(self, *wanted: str) -> None:
        self.entries: dict[str, list[Tensor]] = {name: [] for name in wanted}

    def tell(self, name: str, value: Callable[[], Tensor]) -> None:
        """Keep `value()` if `name` is wanted; otherwise it is never computed."""
        if name in self.entries:
            self.entries[name].append(value())


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """Tokens to attend across to: `tokens` [B, S, M]; `mask` [B, S], True = real; `order` [B, S] as in `Ctx`."""

    tokens: Tensor
    mask: Tensor | None = None
    order: Tensor | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Ctx:
    mask: Tensor | None = None
    """[B, T] bool, True = real token. Outputs at padding are arbitrary but finite."""
    order: Tensor | None = None
    """[B, T] int: when t becomes known; t sees s exactly if order[s] <= order[t]. Absent: causal mixers see 0..t, others all."""
    positions: Tensor | None = None
    """[B, T] int. Absent: 0, 1, 2 … over the real tokens of each segment."""
    segments: Tensor | None = None
    """[B, T] int: packed rows; a token sees its own segment only."""
    memory: Memory | None = None
    cond: Tensor | None = None
    """[B, D] or [B, T, D]: what adaptive norms read."""
    grid: tuple[int, ...] | None = None
    """The axes that T unfolds to in row-major order, product T."""
    tape: Tape | None = None
    rng: torch.Generator | None = None
    """For parts that draw at inference too; dropout uses torch's own generator."""

    def tell(self, name: str, value: Callable[[], Tensor]) -> None:
        if self.tape is not None:
            self.tape.tell(name, value)

    def position_ids(self, batch: int, length: int, device: torch.device) -> Tensor:
        """[B, T] positions: as given, else counted over real tokens from the start of each segment, so that padding shifts nothing."""
        if self.positions is not None:
            return self.positions
        if self.mask is None and self.segments is None:
            return torch.arange(length, device=device).expand(batch, length)
        real = torch.ones(batch, length, dtype=torch.long, device=device) if self.mask is None else self.mask.long()
        count = real.cumsum(1) - real
        if self.segments is not None:
            first = torch.ones_like(self.segments, dtype=torch.bool)
            first[:, 1:] = self.segments[:, 1:] != self.segments[:, :-1]
            count = count - torch.where(first, count, 0).cummax(1).values
        return count

    def sees(self, batch: int, length: int, device: torch.device, *, causal: bool) -> Tensor | None:
        """[B, T, T] bool: may query t read key s. None where every query sees all, or, if `causal`, exactly 0..t."""
        if self.mask is None and self.segments is None and self.order is None:
            return None
        allowed = torch.ones(batch, length, length, dtype=torch.bool, device=device)
        if self.order is not None:
            allowed &= self.order[:, None, :] <= self.order[:, :, None]
        elif causal:
            allowed &= torch.ones(length, length, dtype=torch.bool, device=device).tril()
        if self.mask is not None:
            allowed &= self.mask[:, None, :]
        if self.segments is not None:
            allowed &= self.segments[:, None, :] == self.segments[:, :, None]
        return allowed
