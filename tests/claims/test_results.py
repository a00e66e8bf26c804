"""A record goes stale by what it depends on, and by nothing else."""

from __future__ import annotations

from sequary.claims.results import closure, fingerprint
from sequary.core.catalogue import files


def test_laws_depend_on_ops_and_claims_do_not() -> None:
    roots = [files()["gla"]]
    folders = {name[0] for name in closure(roots)}
    assert {"ops", "mixers", "systems"} <= folders
    assert {name[0] for name in closure(roots, frozenset({"ops"}))} == folders - {"ops"}


def test_each_section_has_its_own_fingerprint() -> None:
    assert len({fingerprint("gla", "laws"), fingerprint("gla", "parity"), fingerprint("gla", "claim")}) == 3
