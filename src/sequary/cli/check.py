"""`sequary check`: the laws of a system or of a file of one's own; its claim; recorded cases of outside implementations."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import Any

from sequary.claims import results
from sequary.claims.experiments import live
from sequary.convert.goldens import Replay, cases, replay
from sequary.core.catalogue import UnknownSystem, aliases, files, nearest
from sequary.laws.law import Verdict
from sequary.laws.run import run_all, subjects_of


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
    recorded = {"--goldens": goldens is not None, "--claim": claim, "--record": record}
    for flag in (flag for flag, given in recorded.items() if given and name not in files()):
        if system.endswith(".py"):
            raise ValueError(f"{system} is a file of your own; {flag} is for systems of the package")
        raise UnknownSystem(nearest(system))
    if goldens is not None:
        return parity(name, Path(goldens) / name, record=record, as_json=as_json)
    if claim:
        return claims(name, as_json=as_json)
    verdicts: list[Verdict] = []
    for subject in subjects_of(system):
        found = run_all([subject], slow=slow)
        verdicts += found
        if not as_json:
            print(report(found), flush=True)
    counted = summary(verdicts)
    if record:
        results.record(name, "laws", counted)
    if as_json:
        rows = [dataclasses.asdict(v) | {"error": finite(v.error)} for v in verdicts]
        print(json.dumps({"id": name, "laws": counted, "verdicts": rows}))
    else:
        print(f"{counted['passed']} passed, {counted['failed']} failed, {len(counted['exempt'])} exempt")
    return 1 if counted["failed"] else 0


def finite(error: float | None) -> float | None:
    """JSON has no infinity: null, and the reason says the rest."""
    return error if error is not None and math.isfinite(error) else None


def summary(verdicts: list[Verdict]) -> dict[str, Any]:
    count = {s: sum(v.status == s for v in verdicts) for s in ("passed", "failed")}
    return {**count, "exempt": [f"{v.member} {v.law}: {v.reason}" for v in verdicts if v.status == "exempt"]}


def report(verdicts: list[Verdict]) -> str:
    """The verdicts of one member."""
    marks = {"passed": "ok", "failed": "FAILED", "exempt": "exempt"}
    lines = [v.member for v in verdicts[:1]]
    for v in verdicts:
        size = "" if v.error is None else f"  {v.error:.1e}"
        lines.append(f"  {marks[v.status]:<7} {v.law}{size}" + (f"  {v.reason}" if v.reason else ""))
    return "\n".join(lines)


def parity(name: str, folder: Path, *, record: bool, as_json: bool) -> int:
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; --goldens names the folder that holds one folder a system")
    replays: list[Replay] = []
    for path in cases(folder):
        replays.append(attempt(name, path))
        if not as_json:
            print(line(replays[-1]), flush=True)
    worst = max((r.error for r in replays if r.error is not None), default=0.0)
    if record and worst < math.inf:
        results.record(name, "parity", [{"oracle": "authors' code, recorded cases", "error": worst}])
    elif record:
        print("not recorded: a case could not be replayed", file=sys.stderr)
    if as_json:
        rows = [dataclasses.asdict(r) | {"error": finite(r.error)} for r in replays]
        print(json.dumps({"id": name, "cases": rows}))
    return 0 if all(r.passed for r in replays) else 1


def attempt(name: str, path: Path) -> Replay:
    """A case that cannot be replayed has failed, and the others go on."""
    try:
        return replay(name, path)
    except UnknownSystem:  # no converter: no case will do better
        raise
    except Exception as error:  # noqa: BLE001 (whatever stops a replay is the finding)
        return Replay(path.stem, math.inf, f"{type(error).__name__}: {error}", False)


def line(r: Replay) -> str:
    if r.declined is not None:
        return f"{r.case}: declined, {r.declined}"
    if r.error == math.inf:
        return f"{r.case}: FAILED, {r.where}"
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
    floor = f" (floor {numbers['floor']:.4g})" if "floor" in numbers else ""
    print(f"claim: {found['text']}")
    print(
        f"live, {found['seeds']} seeds: {found['verdict']}; {numbers['metric']} {numbers['system']:.4g} against {numbers['baseline']:.4g}"
        f"{floor}, gain {numbers['gain']:.4g}, 95 % interval {numbers['low']:.4g} to {numbers['high']:.4g}"
    )
    for trial in found["trials"]:
        if trial["broken"]:
            print(f"seed {trial['seed']}: {trial['broken']}")
    print(f"recorded: {recorded['verdict']}, {recorded['measured']}" if recorded else "recorded: nothing yet")
    return int(opposite)
