"""`sequary edit`: a saved language model made smaller; its size, speed and error before and after."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from sequary.tasks.folders import check_folder
from sequary.tasks.language.editing import Changed
from sequary.tasks.saved import CONTRACT, load

ROWS = (
    ("params", "parameters", "{:,}", 0),
    ("bytes", "bytes on disk", "{:,}", 0),
    ("ms", "CPU ms a window", "{:.2f}", 0),
    ("bits_per_byte", "bits per byte", "{:.4f}", 4),
)
"""Field of `Measured`, its name, its form, and digits of the difference; 0: the change in percent."""


def command(
    model: str,
    *,
    system: str | None = None,
    keep: float | None = None,
    data: str | None = None,
    out: str | None = None,
    seed: int = 0,
    as_json: bool = False,
) -> int:
    """`out` None: MODEL-SYSTEM. The edited model is written in any case; exit status 1 where the edit brings nothing."""
    if system is None:
        raise ValueError(
            "--with is missing: name a system that edits, such as lorap (`sequary systems --kind compression`)"
        )
    folder = Path(out or f"{model.rstrip('/')}-{Path(system).stem}")
    if folder.resolve() == Path(model).resolve():
        raise ValueError(
            f"--out {folder} is the model itself, and what an edit takes away is lost; choose another place"
        )
    check_folder(folder, mark=CONTRACT)
    changed = load(model).edit(system, keep=keep, data=data, seed=seed)
    changed.save(folder)
    print(json.dumps(facts(changed, str(folder))) if as_json else f"{table(changed)}\n{folder}")
    for line in remarks(changed):
        print(line, file=sys.stderr)
    return 0 if changed.nothing is None else 1


def facts(changed: Changed, folder: str) -> dict[str, object]:
    before, after = (dataclasses.asdict(one) for one in (changed.before, changed.after))
    return {
        "system": changed.system,
        "keep": changed.keep,
        "judged_by": changed.text,
        "before": before,
        "after": after,
        "brings": changed.nothing is None,
        "nothing": changed.nothing,
        "out": folder,
    }


def table(changed: Changed) -> str:
    """Before, after and change, and what the error was measured on."""
    lines = [f"{'':<15}{'before':>13}{'after':>13}{'change':>11}"]
    for field, name, form, digits in ROWS:
        was, now = getattr(changed.before, field), getattr(changed.after, field)
        change = f"{now - was:+.{digits}f}" if digits else f"{100 * (now / was - 1):+.1f} %"
        lines.append(f"{name:<15}{form.format(was):>13}{form.format(now):>13}{change:>11}")
    return "\n".join([*lines, f"judged by {changed.text}"])


def remarks(changed: Changed) -> list[str]:
    """What a reader of the table should not miss."""
    if changed.nothing is not None:
        return [f"{changed.system} brings nothing here: {changed.nothing}"]
    if changed.after.ms >= changed.before.ms:
        return [f"{changed.system} makes the model smaller here, and not faster"]
    return []
