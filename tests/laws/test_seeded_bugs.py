"""Every law catches its seeded bugs; a law that misses one does not count."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
from torch import nn

from sequary.laws.law import Law
from sequary.laws.members import Subject, subject
from sequary.laws.run import LAWS, laws_of, run
from tests.laws import bugs_parts, bugs_policies, bugs_recipe, bugs_recurrent, bugs_sequence

BUGS: list[tuple[str, Subject, str]] = [
    (law, bug if isinstance(bug, Subject) else subject(bug), says)
    for file in (bugs_sequence, bugs_recurrent, bugs_parts, bugs_policies, bugs_recipe)
    for law, bug, says in file.BUGS
]


HEALTHY = [
    *map(subject, (bugs_sequence.Dense, bugs_recurrent.Decay, bugs_parts.Points, *bugs_policies.HEALTHY)),
    bugs_recipe.HEALTHY,
]


@pytest.fixture(autouse=True)
def world() -> Iterator[None]:
    """What a seeded bug does to the process is undone."""
    with warnings.catch_warnings():
        yield
    if "seeded_bug" in vars(nn.Linear):
        del nn.Linear.seeded_bug  # type: ignore[attr-defined]


def named(name: str, of: Subject) -> Law:
    return next(law for law in laws_of(of) if law.name == name)


@pytest.mark.parametrize(("law", "bug", "says"), BUGS, ids=[f"{law}-{bug.name.split(':')[-1]}" for law, bug, _ in BUGS])
def test_law_catches_its_bug(law: str, bug: Subject, says: str) -> None:
    verdict = run(named(law, bug), bug)
    assert verdict is not None, "the law does not apply to its own bug"
    assert verdict.status == "failed", verdict
    assert says in verdict.reason


def test_every_law_has_a_seeded_bug() -> None:
    tried = {id(named(law, bug)) for law, bug, _ in BUGS}
    assert [f"{law.contract}: {law.name}" for law in LAWS if id(law) not in tried] == []


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda one: one.name.split(":")[-1])
def test_what_the_bugs_start_from_is_healthy(healthy: Subject) -> None:
    verdicts = [v for law in laws_of(healthy) if not law.slow and (v := run(law, healthy)) is not None]
    assert len(verdicts) > 2
    assert [v for v in verdicts if v.status == "failed"] == []
