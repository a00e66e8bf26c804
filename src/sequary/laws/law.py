"""What a law is: a small check of one contract that every member meets without being asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    from sequary.laws.case import Case

EXACT = 1e-10
"""Tolerance of "equal" in float64."""
SEEDS = (0, 1, 2)


class NoToy(LookupError):
    """No toy for this kind of model: the laws that need one do not run, and say so."""


class Broken(AssertionError):
    """A law does not hold: what was seen, and by how much where that is a number."""

    def __init__(self, reason: str, error: float | None = None) -> None:
        super().__init__(reason)
        self.error = error


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """`error` is the greatest difference that was measured, where the law measures one."""

    member: str
    law: str
    status: Literal["passed", "failed", "exempt"]
    reason: str = ""
    error: float | None = None


def always(case: Any) -> bool:
    return True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """`check(case)` returns the greatest error it measured (or None) and raises `Broken`, or whatever the member raises.

    `applies` says whether the law concerns a member at all, from what it declares. `slow`: left to `make test-all`, a tenth aside.
    """

    name: str
    contract: str
    catches: str
    check: Callable[[Any], float | None]
    applies: Callable[[Any], bool] = always
    slow: bool = False


def judge(law: Law, case: Case) -> Verdict:
    """One law over one member. An exemption is a strict expected failure: once the law passes, it has to go."""
    name, excuse = case.subject.name, case.subject.exempt.get(law.name)
    try:
        error = law.check(case)
    except NoToy as none:
        return Verdict(name, law.name, "exempt", str(none))
    except Exception as problem:  # noqa: BLE001 - whatever a member raises is the finding, and is reported
        if excuse is not None:
            return Verdict(name, law.name, "exempt", excuse)
        said = str(problem) if isinstance(problem, Broken) else f"{type(problem).__name__}: {problem}"
        return Verdict(name, law.name, "failed", said, getattr(problem, "error", None))
    if excuse is not None:
        return Verdict(
            name, law.name, "failed", f"passes although it is exempt ({excuse}): remove the exemption", error
        )
    return Verdict(name, law.name, "passed", error=error)


def distance(a: Tensor, reference: Tensor) -> float:
    """max|a − b| / max(1, max|b|); infinite where a NaN or another shape stands on one side."""
    if a.shape != reference.shape:
        return float("inf")
    if a.numel() == 0:
        return 0.0
    wide = torch.complex128 if a.is_complex() or reference.is_complex() else torch.float64
    a, reference = a.detach().to(wide), reference.detach().to(wide)
    error = ((a - reference).abs().max() / reference.abs().max().clamp(min=1)).item()
    return error if error == error else float("inf")


def equal(a: Tensor, reference: Tensor, what: str, tolerance: float = EXACT) -> float:
    """The distance, which must be within the tolerance."""
    if a.shape != reference.shape:
        raise Broken(f"{what}: shape {tuple(a.shape)}, expected {tuple(reference.shape)}")
    error = distance(a, reference)
    if error > tolerance:
        raise Broken(f"{what}: differs by {error:.3g}, allowed {tolerance:.0e}", error)
    return error


def finite(x: Tensor, what: str) -> None:
    if x.device.type != "meta" and not torch.isfinite(x).all():
        bad = int((~torch.isfinite(x)).sum())
        raise Broken(f"{what}: {bad} of {x.numel()} values are not finite")


def held(condition: bool, reason: str) -> None:
    if not condition:
        raise Broken(reason)
