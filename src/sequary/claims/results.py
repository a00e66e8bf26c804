"""What commands found out about a system and recorded: laws, parity, claim, with machine, date and the sources they depend on."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import json
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from sequary.core.catalogue import PACKAGE, files
from sequary.core.files import write_atomic

FOLDER = PACKAGE / "results"
IMPORT = re.compile(r"^\s*(?:from sequary\.([\w.]+) import|import sequary\.([\w.]+))", re.MULTILINE)
EXPERIMENT = re.compile(r'experiment="([\w-]+)"')
Section = Literal["laws", "parity", "claim"]
MATHEMATICS = {
    "ops",
    "tokens",
    "orders",
    "noise",
    "mixers",
    "heads",
    "condition",
    "blocks",
    "backbones",
    "models",
    "decode",
} | {"objectives", "edit", "probe", "builders.py", "systems", "convert", "laws", "claims"}
"""Of what a record goes stale by: all that says what is computed. How it is read, trained and saved (core, data, train, tasks) has
tests that hold it to the same numbers, and would make every record of 460 systems stale at each step."""


@dataclasses.dataclass(frozen=True, slots=True)
class Results:
    """The sections of one results file (absent: never recorded); `stale` names those whose sources have changed since."""

    laws: dict[str, Any] | None = None
    parity: list[dict[str, Any]] | None = None
    claim: dict[str, Any] | None = None
    stale: tuple[str, ...] = ()


Name = tuple[str, ...]
"""A file of the package by its parts, ("ops", "attend.py"): thousands are compared and sorted for one listing, too many for Path."""


@functools.cache
def _source(name: Name) -> tuple[str, str]:
    """Text and digest, once: listing asks for the fingerprints of all systems, whose closures share most files."""
    text = PACKAGE.joinpath(*name).read_text(encoding="utf-8")
    return text, hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def _imports(name: Name) -> tuple[Name, ...]:
    modules = [tuple(f"{match[1] or match[2]}.py".split(".")) for match in IMPORT.finditer(_source(name)[0])]
    found = [(*parts[:-2], ".".join(parts[-2:])) for parts in modules]
    return tuple(n for n in found if n[0] in MATHEMATICS and PACKAGE.joinpath(*n).is_file())


@functools.cache
def _reached(root: Name, without: frozenset[str]) -> frozenset[Name]:
    seen: set[Name] = set()
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name not in seen and name[0] not in without:
            seen.add(name)
            waiting += _imports(name)
    return frozenset(seen)


def closure(roots: Iterable[Path], without: frozenset[str] = frozenset()) -> list[Name]:
    """The package's files of MATHEMATICS that `roots` reach by imports of such files, sorted; `without` those folders."""
    return sorted(frozenset[Name]().union(*(_reached(root.relative_to(PACKAGE).parts, without) for root in roots)))


def fingerprint(slug: str, section: Section) -> str:
    """A hash of the sources that a section depends on: the system's own, and the laws, its converter or its claim's experiment.

    A claim does not depend on ops: the laws hold every form of an op to one reference, so a faster form leaves verdicts as they were,
    and a wrong one is for the laws to find.
    """
    own = files()[slug]
    experiment = EXPERIMENT.search(own.read_text(encoding="utf-8"))
    template = "" if experiment is None else experiment[1].replace("-", "_")
    extra = {"parity": f"convert/{own.stem}.py", "claim": f"claims/{template}.py", "laws": "laws/run.py"}[section]
    roots = [p for p in (own, PACKAGE / extra) if p.is_file()]
    names = closure(roots, frozenset({"ops"}) if section == "claim" else frozenset())
    lines = [f"{'/'.join(name)} {_source(name)[1]}" for name in names]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def read(slug: str) -> Results:
    """What is recorded of a built system."""
    path = FOLDER / f"{files()[slug].stem}.json"
    if not path.is_file():
        return Results()
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    sections: tuple[Section, ...] = ("laws", "parity", "claim")
    stale = [s for s in sections if s in table and table[s]["sources"] != fingerprint(slug, s)]
    found = {s: table[s]["found"] for s in sections if s in table}
    return Results(**found, stale=tuple(stale))


def record(slug: str, section: Section, found: Any) -> Path:
    """Write one section, leaving the others as they are."""
    path = FOLDER / f"{files()[slug].stem}.json"
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    today = dt.datetime.now(dt.UTC).date().isoformat()
    about = {"date": today, "machine": f"{platform.machine()}, Python {platform.python_version()}"}
    table[section] = {"found": found, "sources": fingerprint(slug, section), **about}
    write_atomic(path, json.dumps(table, indent=1, ensure_ascii=False) + "\n")
    return path
