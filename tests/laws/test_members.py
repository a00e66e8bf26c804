"""Every member of every contract, and every system, under every law that concerns it.

Export and compile run here for a tenth of the pairs, the rest in `make test-all`; SEQUARY_TENTH = 0..9 chooses which.
"""

from __future__ import annotations

import os

import pytest

from sequary.laws.law import Law
from sequary.laws.members import Subject, members, package
from sequary.laws.run import in_tenth, laws_of, run, systems, unknown_exemptions

SUBJECTS = [*members(package()), *systems()]
TENTH = int(os.environ.get("SEQUARY_TENTH", "0"))


def case(law: Law, one: Subject) -> object:
    later = law.slow and not in_tenth(law, one, TENTH)
    return pytest.param(law, one, id=f"{one.name}-{law.name}", marks=[pytest.mark.slow] if later else [])


@pytest.mark.parametrize(("law", "one"), [case(law, one) for one in SUBJECTS for law in laws_of(one)])
def test_law_holds(law: Law, one: Subject) -> None:
    verdict = run(law, one)
    if verdict is None:
        pytest.skip("its declarations do not concern this law")
    if verdict.status == "exempt":
        pytest.xfail(verdict.reason)
    assert verdict.status == "passed", verdict.reason


@pytest.mark.parametrize("one", SUBJECTS, ids=lambda one: one.name)
def test_exemptions_name_laws_and_give_reasons(one: Subject) -> None:
    assert unknown_exemptions(one) == []
    assert [name for name, reason in one.exempt.items() if len(reason.split()) < 3] == []


def test_members_are_found_in_every_folder_that_has_some() -> None:
    found = {one.contract for one in SUBJECTS}
    assert {"mixer", "norm", "backbone", "windows", "series", "head", "model", "objective", "recipe"} <= found
