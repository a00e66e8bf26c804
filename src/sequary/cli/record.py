"""Runs and records the laws and recorded cases of the systems given, or of all whose records are stale.

    python -m sequary.cli.record [ID …]

One process for all, since the start of one costs as much as the laws of a small system.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from pathlib import Path

from sequary.claims import results
from sequary.cli import check
from sequary.core.catalogue import files

GOLDENS = Path("tests/parity/goldens")


def sections(slug: str) -> list[str]:
    return ["laws"] + ["parity"] * (GOLDENS / slug).is_dir()


def stale(slug: str) -> list[str]:
    """Those that are missing, or recorded of other sources."""
    known = results.read(slug)
    return [s for s in sections(slug) if getattr(known, s) is None or s in known.stale]


def run(slug: str, section: str) -> int:
    """Exit status, and one line."""
    said = io.StringIO()
    goldens = str(GOLDENS) if section == "parity" else None
    with contextlib.redirect_stdout(said):
        status = check.command(slug, goldens=goldens, record=True)
    print(f"{slug}: {section}: {said.getvalue().strip().splitlines()[-1]}", flush=True)
    return status


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("ids", nargs="*")
    asked = ask.parse_args()
    failed = [
        s for slug in asked.ids or sorted(files()) for s in (sections if asked.ids else stale)(slug) if run(slug, s)
    ]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
