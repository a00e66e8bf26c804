"""States of fixed shapes as rows of tensors, which native code takes and gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, cast

from torch import Tensor

from sequary.core.state import State


class End:
    """How many places are taken in some tensors: the state that ends there writes on in them, an older one in copies."""

    def __init__(self, at: int) -> None:
        self.at = at


@dataclasses.dataclass(frozen=True, slots=True)
class Held(State):
    """The tensors of a state of fixed shapes after `taken` tokens, the last `steps` of which were compiled ones.

    `moves`: by how much such a step moves each number that the state counts by.
    """

    leaves: tuple[Tensor, ...]
    bare: Bare
    taken: int
    end: End
    steps: int = 0
    moves: tuple[int, ...] | None = None

    @staticmethod
    def of(state: State, taken: int) -> Held:
        return Held(leaves(state), Bare(state.map(lambda t: t.new_empty(0))), taken, End(taken))

    def state(self) -> State:
        """The model's own."""
        moves = self.moves or (0,) * len(counts(self.bare.state))
        return filled(self.bare.state, iter(self.leaves), iter([self.steps * n for n in moves]))


@dataclasses.dataclass(frozen=True, slots=True)
class Bare:
    """A state without its numbers: no state itself, since nothing is to be done to its tensors."""

    state: State


def leaves(state: State) -> tuple[Tensor, ...]:
    found = list[Tensor]()
    state.map(lambda t: (found.append(t), t)[1])
    return tuple(found)


def counts(value: Any) -> list[int]:
    """The whole numbers of a state, in order."""
    if isinstance(value, State):
        return [n for f in dataclasses.fields(value) for n in counts(getattr(value, f.name))]
    if isinstance(value, tuple):
        return [n for v in cast("tuple[Any, ...]", value) for n in counts(v)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


def filled(value: Any, tensors: Iterator[Tensor], more: Iterator[int]) -> Any:
    """`value` with these tensors in place of its own and `more` added to what it counts."""
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, State):
        fields = dataclasses.fields(value)
        return dataclasses.replace(value, **{f.name: filled(getattr(value, f.name), tensors, more) for f in fields})
    if isinstance(value, tuple):
        return tuple(filled(v, tensors, more) for v in cast("tuple[Any, ...]", value))
    return value + next(more) if isinstance(value, int) and not isinstance(value, bool) else value
