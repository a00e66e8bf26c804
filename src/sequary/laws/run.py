"""Running the laws: over a class, a part, a system, or all that a file of one's own defines."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from sequary.core import catalogue
from sequary.core.catalogue import System
from sequary.core.part import Part
from sequary.core.recipe import Recipe
from sequary.laws import (
    autocast,
    backbone,
    cost,
    decoder,
    edit,
    head,
    mixer,
    model,
    module,
    noise,
    numeric,
    objective,
    order,
    padding,
    probe,
    recipe,
    recurrent,
    tokens,
)
from sequary.laws.case import Case, HeadCase, MemberCase, ModelCase, PolicyCase, SeriesCase, TokensCase, WindowsCase
from sequary.laws.host import HostCase
from sequary.laws.law import Law, NoToy, Verdict, judge
from sequary.laws.members import Subject, contract_of, members, of_part, subject
from sequary.laws.recipe import RecipeCase
from sequary.laws.sequence import SequenceCase

LAWS: tuple[Law, ...] = tuple(
    law
    for file in (
        module,
        autocast,
        mixer,
        padding,
        numeric,
        cost,
        recurrent,
        backbone,
        tokens,
        head,
        model,
        order,
        noise,
        objective,
    )
    for law in file.LAWS
) + (*decoder.LAWS, *edit.LAWS, *probe.LAWS, *recipe.LAWS)

KINDS: dict[str, tuple[Callable[[Subject], Case], tuple[str, ...]]] = {
    "mixer": (SequenceCase, ("module", "sequence")),
    "norm": (SequenceCase, ("module", "sequence")),
    "backbone": (SequenceCase, ("module", "sequence", "backbone")),
    "windows": (WindowsCase, ("module", "windows")),
    "series": (SeriesCase, ("module", "series")),
    "tokens": (TokensCase, ("module", "tokens")),
    "head": (HeadCase, ("module", "head")),
    "model": (ModelCase, ("module", "model")),
    "member": (MemberCase, ("module",)),
    "order": (PolicyCase, ("order",)),
    "noise": (PolicyCase, ("noise",)),
    "objective": (HostCase, ("objective",)),
    "decoder": (HostCase, ("decoder",)),
    "edit": (HostCase, ("edit",)),
    "probe": (HostCase, ("probe",)),
    "recipe": (RecipeCase, ("recipe",)),
}
"""Contract of a subject -> the case that it becomes, and the laws that concern it."""
TENTHS = 10


def laws_of(subject: Subject) -> list[Law]:
    """The laws of its contract, whether or not its declarations concern them."""
    return [law for law in LAWS if law.contract in KINDS[subject.contract][1]]


def run(law: Law, subject: Subject) -> Verdict | None:
    """One law over one subject; None where what it declares does not concern the law."""
    case = KINDS[subject.contract][0](subject)
    try:
        if not law.applies(case):
            return _needless(law, subject)
    except NoToy as none:
        return Verdict(subject.name, law.name, "exempt", str(none))
    except Exception as problem:  # noqa: BLE001 - a member that cannot even be built is a finding
        return Verdict(subject.name, law.name, "failed", f"{type(problem).__name__}: {problem}")
    return judge(law, case)


def _needless(law: Law, subject: Subject) -> Verdict | None:
    """A law that does not concern a member needs no exemption: one would hide what a later declaration has to meet."""
    if law.name not in subject.exempt:
        return None
    why = f"exempt from {law.name!r}, which does not concern it as it is declared: remove the exemption"
    return Verdict(subject.name, law.name, "failed", why)


def in_tenth(law: Law, subject: Subject, tenth: int) -> bool:
    """Is a slow law's turn on this subject in tenth 0..9? By its name, so that every machine says the same."""
    return zlib.crc32(f"{subject.name} {law.name}".encode()) % TENTHS == tenth % TENTHS


def unknown_exemptions(subject: Subject) -> list[Verdict]:
    known = {law.name for law in laws_of(subject)}
    return [
        Verdict(subject.name, name, "failed", f"exempt from {name!r}, which is no law of a {subject.contract}")
        for name in subject.exempt
        if name not in known
    ]


def run_all(subjects: Iterable[Subject], *, slow: bool = True) -> list[Verdict]:
    found: list[Verdict] = []
    for one in subjects:
        found += unknown_exemptions(one)
        found += [v for law in laws_of(one) if slow or not law.slow if (v := run(law, one)) is not None]
    return found


def check(target: str | Path | Part[Any] | type | System | Subject, *, slow: bool = True) -> list[Verdict]:
    """The verdicts of all laws over `target`: a system's id or alias, a .py file of one's own, a part, a class, a loaded system.

    A system is checked as a recipe, and each class that its recipe names as a member of its contract. `slow` also exports and
    compiles. Raises `UnknownSystem` for an id that is not built.
    """
    return run_all(subjects_of(target), slow=slow)


def subjects_of(target: str | Path | Part[Any] | type | System | Subject) -> list[Subject]:
    if isinstance(target, Subject):
        return [target]
    if isinstance(target, Part):
        return [of_part(cast("Part[Any]", target))]
    if isinstance(target, type):
        return [subject(target)]
    system = target if isinstance(target, System) else catalogue.load(str(target))
    if system.module.__name__.startswith("sequary."):
        return [of_system(system), *(subject(cls) for cls in classes(system.recipe))]
    own = members([system.module])
    if system.recipe is not None:
        return [of_system(system), *own]
    if not own:
        raise ValueError(
            f"{target} defines no part: derive a class from one of sequary.core.contracts, or give it a RECIPE"
        )
    return own


def of_system(system: System) -> Subject:
    """A system file as a subject; `EXEMPT` in it (law -> reason) is its list of exemptions."""
    name = f"systems:{system.id}" if system.variant is None else f"systems:{system.variant}"
    exempt: dict[str, str] = getattr(system.module, "EXEMPT", {})
    return Subject(name, "recipe", None, {}, exempt, {"system": system})


def systems() -> list[Subject]:
    """All that are built, and the variants that an alias names."""
    loaded = [catalogue.load(name) for name in (*catalogue.files(), *catalogue.aliases())]
    return [of_system(s) for i, s in enumerate(loaded) if i < len(catalogue.files()) or s.variant is not None]


def classes(recipe: Recipe | None) -> list[type]:
    """Every class that a recipe names and that fits a contract, once."""
    found: dict[type, None] = {}

    def look(value: Any) -> None:
        if isinstance(value, Part):
            this = cast("Part[Any]", value)
            named: Any = this.cls
            found.setdefault(named)
            look(tuple(v for _, v in this.kw))
        elif isinstance(value, tuple):
            for v in cast("tuple[Any, ...]", value):
                look(v)
        elif contract_of(type(value)) is not None:
            found.setdefault(type(value))

    if recipe is not None:
        look((recipe.model, *(s.objective for s in recipe.stages), recipe.decode, recipe.edits, recipe.probes))
    return [cls for cls in found if isinstance(cls, type) and contract_of(cls) is not None]
