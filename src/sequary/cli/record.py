"""Runs and records the laws and recorded cases of the systems given, or of all whose records are stale.

    python -m sequary.cli.record [ID …]

One process for all: most systems share most of their classes, and the laws of a class are run once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from pathlib import Path
from typing import Any

from sequary.claims import results
from sequary.cli import check
from sequary.core.catalogue import files
from sequary.laws.law import Verdict
from sequary.laws.run import run_all, subjects_of

GOLDENS = Path("tests/parity/goldens")
Known = dict[Any, list[Verdict]]
"""The verdicts of each class so far; of a recipe by its system's id."""


def sections(slug: str) -> list[str]:
    return ["laws"] + ["parity"] * (GOLDENS / slug).is_dir()


def stale(slug: str) -> list[str]:
    """Those that are missing, or recorded of other sources."""
    known = results.read(slug)
    return [s for s in sections(slug) if getattr(known, s) is None or s in known.stale]


def laws(slug: str, known: Known) -> int:
    """Exit status, and one line."""
    found = list[Verdict]()
    for subject in subjects_of(slug):
        key = slug if subject.cls is None else subject.cls
        if key not in known:
            known[key] = run_all([subject], slow=False)
        found += known[key]
    counted = check.summary(found)
    results.record(slug, "laws", counted)
    print(f"{slug}: {counted['passed']} laws passed, {counted['failed']} failed", flush=True)
    for verdict in found:
        if verdict.status == "failed":
            print(f"  {verdict.member} {verdict.law}: {verdict.reason}", flush=True)
    return 1 if counted["failed"] else 0


def parity(slug: str) -> int:
    """Exit status, and one line."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = check.command(slug, goldens=str(GOLDENS), record=True)
    print(f"{slug}: {said.getvalue().strip().splitlines()[-1]}", flush=True)
    return status


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("ids", nargs="*")
    asked = ask.parse_args()
    known, failed = Known(), 0
    for slug in asked.ids or sorted(files()):
        for section in sections(slug) if asked.ids else stale(slug):
            failed |= laws(slug, known) if section == "laws" else parity(slug)
    return failed


if __name__ == "__main__":
    sys.exit(main())
