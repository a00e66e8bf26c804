"""Explicit Runge–Kutta steps of dx/ds = f(x), of any tableau."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from torch import Tensor


@dataclasses.dataclass(frozen=True, slots=True)
class Tableau:
    """k_i = f(x + h Σ_j<i a_ij k_j),  x ← x + h Σ_i b_i k_i. Row i of `a` has the i numbers before the diagonal."""

    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]

    def __post_init__(self) -> None:
        if [len(row) for row in self.a] != list(range(len(self.b))):
            raise ValueError(f"{len(self.b)} stages need rows of 0, 1, 2 … numbers, got {[len(r) for r in self.a]}")


EULER = Tableau(((),), (1.0,))
MIDPOINT = Tableau(((), (0.5,)), (0.0, 1.0))
RK4 = Tableau(((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))


def runge_kutta(f: Callable[[Tensor], Tensor], x: Tensor, tableau: Tableau, *, steps: int, time: float) -> Tensor:
    """x at `time`, from x at 0, in `steps` equal steps. `f` is called steps · len(b) times, in order."""
    h = time / steps
    for _ in range(steps):
        slopes: list[Tensor] = []
        for row in tableau.a:
            slopes.append(f(_moved(x, row, slopes, h)))
        x = _moved(x, tableau.b, slopes, h)
    return x


def _moved(x: Tensor, weights: tuple[float, ...], slopes: list[Tensor], h: float) -> Tensor:
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            x = x + h * weight * slope
    return x
