"""`sequary systems`: what is built, and with `--all` everything that the catalogue lists."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from sequary.claims import results
from sequary.core.catalogue import PACKAGE, card, files, rows


def table(*, everything: bool, kind: Sequence[str], modality: Sequence[str], has: str | None) -> list[dict[str, Any]]:
    """A row a system: id, title, kind, modalities, and, null where it is not built, file, laws, parity, claim.

    `everything` is the catalogue; reference systems, which it does not list, come with what is built.
    """
    found = [row(slug) for slug in (sorted(rows()) if everything else sorted(files()))]
    word = (has or "").lower()
    return [
        r
        for r in found
        if (not kind or r["kind"] in kind)
        and (not modality or set(modality) & set(r["modalities"]))
        and (word in f"{r['id']} {r['title']} {' '.join(r['aliases'])}".lower())
    ]


def row(slug: str) -> dict[str, Any]:
    if slug not in files():
        known = rows()[slug]
        return {k: known[k] for k in ("id", "title", "kind", "modalities")} | {
            "aliases": [],
            "file": None,
            "laws": None,
            "parity": None,
            "claim": None,
        }
    own, recorded = card(slug), results.read(slug)
    known = rows().get(slug)
    return {
        "id": slug,
        "title": own.title,
        "kind": own.kind,
        "modalities": list(known["modalities"] if known else own.modalities),
        "aliases": list(own.aliases),
        "file": files()[slug].relative_to(PACKAGE).as_posix(),
        "laws": recorded.laws,
        "parity": recorded.parity,
        "claim": recorded.claim,
        "stale": list(recorded.stale),
    }


def command(
    *,
    everything: bool = False,
    kind: Sequence[str] = (),
    modality: Sequence[str] = (),
    has: str | None = None,
    as_json: bool = False,
) -> int:
    """Print the rows; exit status 0 also where none matches, which is said on standard error."""
    _known("--kind", kind, {r["kind"] for r in rows().values()} | {"reference"})
    _known("--modality", modality, {m for r in rows().values() for m in r["modalities"]})
    listed = table(everything=everything, kind=kind, modality=modality, has=has)
    if as_json:
        print(json.dumps(listed, ensure_ascii=False))
        return 0
    if not listed:
        print("no system matches; `sequary systems --all` lists the whole catalogue", file=sys.stderr)
        return 0
    width = max(len(r["id"]) for r in listed)
    wide = max(len(state(r)) for r in listed)
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for r in listed:
        print(f"{r['id']:<{width}}  {r['kind']:<12} {state(r):<{wide}}  {r['title']}"[:room])
    built = sum(r["file"] is not None for r in listed)
    print(f"{len(listed)} systems, {built} built", file=sys.stderr)
    return 0


def _known(flag: str, words: Sequence[str], known: set[str]) -> None:
    for word in words:
        if word not in known:
            raise ValueError(f"{flag} {word}: there is no such; there are {', '.join(sorted(known))}")


def state(r: dict[str, Any]) -> str:
    """Built or not, laws, verdict, in a few words."""
    if r["file"] is None:
        return "not built"
    laws = f"{r['laws']['passed']} laws" if r["laws"] and not r["laws"]["failed"] else "laws not recorded"
    if r["laws"] and r["laws"]["failed"]:
        laws = f"{r['laws']['failed']} LAWS FAIL"
    verdict = r["claim"]["verdict"] if r["claim"] and r["claim"].get("verdict") else None
    return f"{laws}, {verdict}" if verdict else laws
