"""Laws of probes: they look and leave nothing behind, and see the same again."""

from __future__ import annotations

import torch

from sequary.core.values import Reading
from sequary.laws.host import HostCase, unchanged
from sequary.laws.law import Law, equal, finite, held


def read(case: HostCase) -> Reading:
    return case.make()(case.model(), tuple(case.batch(3, s) for s in range(2)))


def leaves_alone(case: HostCase) -> None:
    """Model (its hooks and modes too) and batches stay as they are."""
    model, batches = case.model(), tuple(case.batch(3, s) for s in range(2))
    with unchanged(model, *batches):
        case.make()(model, batches)


def reproducible(case: HostCase) -> None:
    """Finite, not empty, and the same again."""
    first, again = read(case), read(case)
    held(len(first.tensors) + len(first.numbers) > 0, "a reading of nothing")
    held(
        first.tensors.keys() == again.tensors.keys() and first.numbers == again.numbers,
        "another reading of the same model",
    )
    for name, value in first.tensors.items():
        finite(value.double(), f"reading {name}")
        held(torch.equal(value, again.tensors[name]), f"reading {name} differs from time to time")


def applied(case: HostCase) -> float:
    """Where it reads the matrix that a mixer applies, matrix · values = output: `toy["applied"](model, batch, reading)` says both sides."""
    model, batch = case.model(), case.batch(3, 0)
    got, expected = case.subject.toy["applied"](model, batch, case.make()(model, (batch,)))
    return equal(got, expected, "matrix · values against the output")


def has_matrix(case: HostCase) -> bool:
    return "applied" in case.subject.toy


LAWS = (
    Law(
        name="leaves_alone",
        contract="probe",
        catches="a probe that leaves hooks or changes its model",
        check=leaves_alone,
    ),
    Law(name="reproducible", contract="probe", catches="a reading that changes from time to time", check=reproducible),
    Law(
        name="applied",
        contract="probe",
        catches="a matrix that is not the one applied",
        check=applied,
        applies=has_matrix,
    ),
)
