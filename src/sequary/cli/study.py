"""`sequary study`: what a study shows, run anew and drawn, as a folder with a page and its numbers."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from sequary.core.catalogue import UnknownSystem, files, load, slug
from sequary.readings import page
from sequary.tasks.folders import check_folder

STUDIES = Path(page.__file__).parent / "studies"


def command(system: str, *, out: str | None = None, as_json: bool = False) -> int:
    """`out` None: SYSTEM-study."""
    known = {slug(path): path.stem for path in sorted(STUDIES.glob("[!_]*.py"))}
    name = system if system in files() else load(system).id
    if name not in known:
        raise UnknownSystem(f"{name} has no study to run; there is {', '.join(known)}")
    folder = Path(out or f"{name}-study")
    check_folder(folder, mark=page.MARK)
    made = importlib.import_module(f"sequary.readings.studies.{known[name]}").study()
    names = made.write(folder)
    print(
        json.dumps({"out": str(folder), "files": names} | made.numbers)
        if as_json
        else "\n".join([*made.lead[1:], f"{folder}/report.html"])
    )
    return 0
