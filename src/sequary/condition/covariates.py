"""Typed variables: static, past and known beforehand, numbers and categories, each as a vector."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.core.contracts import Member


@dataclasses.dataclass(frozen=True, slots=True)
class Variables:
    """Vectors of the variables that each part of a window has."""

    static: tuple[Tensor, ...]
    """Each [R, E]."""
    past: tuple[Tensor, ...]
    """Each [R, L, E]."""
    future: tuple[Tensor, ...]
    """Each [R, H, E]."""


class Covariates(Member):
    """The target and its covariates, each by a map of its own: a number x to w x + b, a category to its row of a table.

    Columns are numbered: 0 the target, then static, past, future ones. `cardinalities`: for each covariate in this order 0
    (a number) or how many categories it has; of these the first `static` are static, the next `past` past. `widths`: of all
    vectors, D unless given. `looks`, `ahead`: the columns that stand in the look-back and in the horizon, in order; by
    default all that can. Where the target is missing, its map is told so.
    """

    tiny = {"cardinalities": (4, 0, 0, 5), "static": 1, "past": 1}

    def __init__(
        self,
        dim: int,
        *,
        cardinalities: tuple[int, ...] = (),
        static: int = 0,
        past: int = 0,
        widths: tuple[int, ...] | None = None,
        looks: tuple[int, ...] | None = None,
        ahead: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        count, known = len(cardinalities), static + past
        if known > count:
            raise ValueError(f"static={static} and past={past} need {known} cardinalities, got {cardinalities}")
        self.cardinalities, self.static, self.past = (0, *cardinalities), static, past
        self.widths = (dim,) * (count + 1) if widths is None else widths
        self.looks = (0, *range(static + 1, count + 1)) if looks is None else looks
        self.ahead = tuple(range(known + 1, count + 1)) if ahead is None else ahead
        self.target = nn.Linear(2, self.widths[0])
        self.maps = nn.ModuleList(
            nn.Embedding(n, w) if n else nn.Linear(1, w) for n, w in zip(cardinalities, self.widths[1:], strict=True)
        )

    def width_of(self, columns: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.widths[c] for c in columns)

    @property
    def statics(self) -> tuple[int, ...]:
        return tuple(range(1, self.static + 1))

    def forward(
        self,
        target_RL: Tensor,
        real_RL: Tensor | None,
        static_RS: Tensor | None,
        past_RLP: Tensor | None,
        future_RTK: Tensor | None,
    ) -> Variables:
        length, first = target_RL.shape[1], self.static + self.past + 1
        self._check(static_RS, past_RLP, future_RTK)
        missing = torch.zeros_like(target_RL) if real_RL is None else 1 - real_RL.to(target_RL.dtype)
        looks: dict[int, Tensor] = {0: self.target(torch.stack((target_RL, missing), -1))}
        static = tuple(self._map(c, static_RS[:, c - 1]) for c in self.statics) if static_RS is not None else ()
        if past_RLP is not None:
            looks |= {c: self._map(c, past_RLP[..., c - self.static - 1]) for c in range(self.static + 1, first)}
        ahead: dict[int, Tensor] = {}
        if future_RTK is not None:
            whole = {c: self._map(c, future_RTK[..., c - first]) for c in range(first, len(self.widths))}
            looks |= {c: v[:, :length] for c, v in whole.items()}
            ahead = {c: v[:, length:] for c, v in whole.items()}
        return Variables(static, tuple(looks[c] for c in self.looks), tuple(ahead[c] for c in self.ahead))

    def _map(self, column: int, x: Tensor) -> Tensor:
        known = self.maps[column - 1]
        return known(x.long() if self.cardinalities[column] else x[..., None])

    def _check(self, static: Tensor | None, past: Tensor | None, future: Tensor | None) -> None:
        later = len(self.widths) - 1 - self.static - self.past
        for name, given, wanted in (
            ("static", static, self.static),
            ("past", past, self.past),
            ("future", future, later),
        ):
            columns = 0 if given is None else given.shape[-1]
            if columns != wanted:
                raise ValueError(f"built for {wanted} {name} columns, the batch has {columns}")
