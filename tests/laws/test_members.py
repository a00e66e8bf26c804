"""Every member of every contract, and every system, under every law that concerns it.

Export and compile run here for a tenth of the pairs, the rest in `make test-all`; SEQUARY_TENTH = 0..9 chooses which.
"""

from __future__ import annotations

import os

import pytest

from sequary.core.catalogue import load
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.laws.law import Law
from sequary.laws.members import Subject, members, package
from sequary.laws.run import classes, in_tenth, laws_of, run, systems, unknown_exemptions
from sequary.mixers.linear.kernel import Featured, KernelAttention

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
    if law.name in one.exempt and verdict.status == "exempt":
        pytest.xfail(verdict.reason)
    assert verdict.status == "passed", verdict.reason


@pytest.mark.parametrize("one", SUBJECTS, ids=lambda one: one.name)
def test_exemptions_name_laws_and_give_reasons(one: Subject) -> None:
    assert unknown_exemptions(one) == []
    assert [name for name, reason in one.exempt.items() if len(reason.split()) < 3] == []


def test_members_are_found_in_every_folder_that_has_some() -> None:
    found = {one.contract for one in SUBJECTS}
    assert {"mixer", "norm", "backbone", "windows", "series", "head", "model", "objective", "recipe"} <= found


def lawless(recipe: Recipe) -> list[str]:
    """What a recipe names and no law is run over: a class that another one derives from counts as an interface, and is not built."""
    judged = {one.cls for one in SUBJECTS}
    return [cls.__qualname__ for cls in classes(recipe) if cls not in judged]


@pytest.mark.parametrize("one", systems(), ids=lambda one: one.name)
def test_laws_are_run_over_all_that_a_recipe_names(one: Subject) -> None:
    recipe = one.toy["system"].recipe
    assert recipe is None or lawless(recipe) == []


def test_a_recipe_of_an_interface_is_seen() -> None:
    recipe = load("gpt").recipe
    assert recipe is not None
    mixer = "model__backbone__blocks__0__parts__0"
    assert lawless(recipe.but(**{mixer: part(KernelAttention)})) == []
    assert lawless(recipe.but(**{mixer: part(Featured)})) == ["Featured"]
