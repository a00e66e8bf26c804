"""`sequary check`: the laws of a system or of a file of one's own; its claim; recorded cases of outside implementations."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from sequary.claims import results
from sequary.claims.experiments import live
from sequary.convert.goldens import Replay, replay_all
from sequary.core.catalogue import UnknownSystem, aliases, files, nearest
from sequary.laws.law import Verdict
from sequary.laws.run import check


def command(
    system: str,
    *,
    claim: bool = False,
    goldens: str | None = None,
    slow: bool = False,
    record: bool = False,
    as_json: bool = False,
) -> int:
    """Exit status 1 if a law fails, a case is off, or the live claim disagrees with its record."""
    name = aliases().get(system, system)
    if not system.endswith(".py") and name not in files():
        raise UnknownSystem(nearest(system))
    if goldens is not None:
        return parity(name, Path(goldens) / name, record=record, as_json=as_json)
    if claim:
        return claims(name, as_json=as_json)
    verdicts = check(system, slow=slow)
    found = summary(verdicts)
    if record:
        results.record(name, "laws", found)
    if as_json:
        print(json.dumps({"id": name, "laws": found, "verdicts": [dataclasses.asdict(v) for v in verdicts]}))
    else:
        print(report(verdicts, found))
    return 1 if found["failed"] else 0


def summary(verdicts: list[Verdict]) -> dict[str, Any]:
    count = {s: sum(v.status == s for v in verdicts) for s in ("passed", "failed")}
    return {**count, "exempt": [f"{v.member} {v.law}: {v.reason}" for v in verdicts if v.status == "exempt"]}


def report(verdicts: list[Verdict], found: dict[str, Any]) -> str:
    marks = {"passed": "ok", "failed": "FAILED", "exempt": "exempt"}
    lines: list[str] = []
    for member in dict.fromkeys(v.member for v in verdicts):
        lines.append(member)
        for v in verdicts:
            if v.member == member:
                size = "" if v.error is None else f"  {v.error:.1e}"
                lines.append(f"  {marks[v.status]:<7} {v.law}{size}" + (f"  {v.reason}" if v.reason else ""))
    lines.append(f"{found['passed']} passed, {found['failed']} failed, {len(found['exempt'])} exempt")
    return "\n".join(lines)


def parity(name: str, folder: Path, *, record: bool, as_json: bool) -> int:
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; --goldens names the folder that holds one folder a system")
    replays = list(replay_all(name, folder))
    if record:
        errors = [r.error for r in replays if r.error is not None]
        results.record(name, "parity", [{"oracle": "authors' code, recorded cases", "error": max(errors, default=0.0)}])
    if as_json:
        print(json.dumps({"id": name, "cases": [dataclasses.asdict(r) for r in replays]}))
    else:
        print("\n".join(map(line, replays)))
    return 0 if all(r.passed for r in replays) else 1


def line(r: Replay) -> str:
    if r.declined is not None:
        return f"{r.case}: declined, {r.declined}"
    return f"{r.case}: greatest error {r.error:.2e} at {r.where}" + ("" if r.passed else "  FAILED")


def claims(slug: str, *, as_json: bool) -> int:
    """Print the live verdict and the recorded one; exit status 1 if one says *holds* and the other *does not hold*."""
    found, recorded = live(slug), results.read(slug).claim
    opposite = recorded is not None and {found["verdict"], recorded["verdict"]} == {
        "holds",
        "does not hold at this scale",
    }
    if as_json:
        print(json.dumps({"id": slug, "live": found, "recorded": recorded, "agrees": not opposite}))
        return int(opposite)
    numbers = found["numbers"]
    print(f"claim: {found['text']}")
    print(
        f"live, {found['seeds']} seeds: {found['verdict']}; {numbers['metric']} {numbers['system']:.4g} against {numbers['baseline']:.4g}"
        f" (floor {numbers['floor']:.4g}), gain {numbers['gain']:.4g}, 95 % interval {numbers['low']:.4g} to {numbers['high']:.4g}"
    )
    print(f"recorded: {recorded['verdict']}, {recorded['measured']}" if recorded else "recorded: nothing yet")
    return int(opposite)
