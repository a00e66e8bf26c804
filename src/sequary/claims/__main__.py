"""`python -m sequary.claims [SLUG …]`: run and record claims whose experiment is built; without slugs, those that are missing or stale.

Seeds are processes of one thread, one on each core, side by side; those that are done stay in `claims-work`.
"""

from __future__ import annotations

import sys

from sequary.claims import results
from sequary.claims.experiments import NoExperiment, record
from sequary.compare.machine import cores
from sequary.core.catalogue import files


def main(slugs: list[str]) -> int:
    for slug in slugs or sorted(files()):
        known = results.read(slug)
        if not slugs and known.claim is not None and "claim" not in known.stale:
            continue
        try:
            found = record(slug, workers=cores())
        except NoExperiment as reason:
            if slugs:
                print(f"{slug}: {reason}", file=sys.stderr)
                return 2
            continue
        print(f"{slug}: {found['verdict']} {found['numbers']}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
