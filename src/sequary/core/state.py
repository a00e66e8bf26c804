"""What a recurrent form carries from step to step: a frozen dataclass whose leaves are tensors with the batch first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Self, cast

import torch
from torch import Tensor


def _over(value: Any, kind: type[Any], fn: Callable[[Any], Any]) -> Any:
    if isinstance(value, kind):
        return fn(value)
    if isinstance(value, State):
        return value.over(kind, fn)
    if isinstance(value, tuple):
        return tuple(_over(v, kind, fn) for v in cast("tuple[Any, ...]", value))
    return value  # counts and settings


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """Passed in and returned, never stored on a module. Steps make a new one, so an old one stays valid: going back is free.

    Fields are tensors [B, …], other states, tuples of these, or plain values equal for all rows.
    """

    def over(self, kind: type[Any], fn: Callable[[Any], Any]) -> Self:
        """The state with `fn` applied to all that is of this kind in it."""
        fields = dataclasses.fields(self)
        return dataclasses.replace(self, **{f.name: _over(getattr(self, f.name), kind, fn) for f in fields})

    def map(self, fn: Callable[[Tensor], Tensor]) -> Self:
        """The state with `fn` applied to every tensor."""
        return self.over(Tensor, fn)

    def select(self, rows: Tensor) -> Self:
        """The state of rows `rows` [R] (beams, finished rows dropped)."""
        return self.map(lambda t: t.index_select(0, rows))

    def detach(self) -> Self:
        return self.map(Tensor.detach)

    def to(self, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Moved; `dtype` for floating tensors only."""
        return self.map(lambda t: t.to(device=device, dtype=dtype if t.is_floating_point() else None))

    def fixed(self, places: int) -> State:
        """The same with room for `places` tokens where it would grow, so that steps of one token leave its shapes as they are."""
        return self.over(State, lambda inner: inner.fixed(places))

    def can_rewind(self) -> bool:
        """Whether `rewind` is exact; where it is not, keep the state to go back to."""
        return False

    def rewind(self, length: int) -> Self:
        """The state as it was after `length` positions, where that is exact (caches); a compressed state cannot, and says so."""
        raise NotImplementedError(f"{type(self).__name__} keeps no past: keep the state of position {length} instead")

    def bytes(self) -> int:
        """Memory of all tensors."""
        total = 0

        def count(t: Tensor) -> Tensor:
            nonlocal total
            total += t.numel() * t.element_size()
            return t

        self.map(count)
        return total


@dataclasses.dataclass(frozen=True, slots=True)
class Stateless(State):
    """Of a part that treats each token alone."""

    def can_rewind(self) -> bool:
        return True

    def rewind(self, length: int) -> Stateless:
        return self


@dataclasses.dataclass(frozen=True, slots=True)
class States(State):
    """Of a sequence of parts."""

    each: tuple[State, ...]

    def can_rewind(self) -> bool:
        return all(s.can_rewind() for s in self.each)

    def rewind(self, length: int) -> States:
        return States(tuple(s.rewind(length) for s in self.each))
