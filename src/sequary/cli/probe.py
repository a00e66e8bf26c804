"""`sequary probe`: what goes on inside a saved language model, as pictures and numbers in a folder."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path

from sequary.readings.page import MARK
from sequary.tasks.folders import check_folder
from sequary.tasks.saved import load


def command(
    model: str,
    system: str,
    *,
    data: str | None = None,
    out: str | None = None,
    n: int | None = None,
    seed: int = 0,
    as_json: bool = False,
) -> int:
    """`out` None: MODEL-PROBE. The page is drawn by the module of `readings` that is called like the probe's own."""
    folder = Path(out or f"{model.rstrip('/')}-{Path(system).stem}")
    check_folder(folder, mark=MARK)
    probed = load(model).probe(system, data=data, n=n, seed=seed)
    name = f"sequary.readings.{type(probed.probe).__module__.rpartition('.')[2]}"
    if importlib.util.find_spec(name) is None:
        raise ValueError(
            f"{system} has a probe without pictures; read it in Python: sequary.load({model!r}).probe({system!r})"
        )
    page = importlib.import_module(name).page(probed)
    files = page.write(folder)
    print(
        json.dumps({"out": str(folder), "files": files} | page.numbers)
        if as_json
        else "\n".join([*page.lead[1:], f"{folder}/report.html"])
    )
    return 0
