"""Runs claims: recorded ones, trial by trial and resumable, and live ones, which say whether they agree with the record."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import importlib.util
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sequary.claims import results
from sequary.claims.judging import Trial, judge
from sequary.core.card import Claim
from sequary.core.catalogue import files, load
from sequary.core.files import write_atomic

WORK = Path("claims-work")


class NoExperiment(ValueError):
    """The claim's experiment is not built."""


def experiment(claim: Claim) -> Any:
    """The module of the claim's template: `tune(slug, claim)` and `trial(slug, claim, seed, chosen)`."""
    name = f"sequary.claims.{claim.experiment.replace('-', '_')}"
    if importlib.util.find_spec(name) is None:
        raise NoExperiment(f"the experiment {claim.experiment!r} is not built yet; the claim stands as text only")
    return importlib.import_module(name)


def claim_of(slug: str, changes: Mapping[str, Any] | None = None) -> Claim:
    claim = load(slug).claim
    if claim is None:
        raise NoExperiment(f"{slug} states no claim")
    return claim if changes is None else dataclasses.replace(claim, settings={**claim.settings, **changes})


def judged(slug: str, claim: Claim, *, seeds: int, work: Path) -> dict[str, Any]:
    """All trials, those found in `work` not run again, and the verdict. One thread."""
    torch.set_num_threads(1)
    path = work / f"{files()[slug].stem}.json"
    key = results.fingerprint(slug, "claim")
    done: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if done.get("sources") != key or done.get("settings") != plain(claim):
        done = {"sources": key, "settings": plain(claim), "trials": {}}
    if "chosen" not in done:
        done["chosen"] = experiment(claim).tune(slug, claim)
        write_atomic(path, json.dumps(done))
    for seed in range(seeds):
        if str(seed) not in done["trials"]:
            done["trials"][str(seed)] = dataclasses.asdict(experiment(claim).trial(slug, claim, seed, done["chosen"]))
            write_atomic(path, json.dumps(done))
    trials = [Trial(**done["trials"][str(seed)]) for seed in range(seeds)]
    verdict, numbers = judge(claim, trials)
    machine = f"{platform.machine()}, torch {torch.__version__.partition('+')[0]}, one thread"
    return {
        "text": claim.text,
        "verdict": verdict,
        "numbers": {"metric": claim.metric, **numbers},
        "seeds": seeds,
        "measured": f"{dt.datetime.now(dt.UTC).date().isoformat()}, {machine}",
        "settings": plain(claim),
        "chosen": done["chosen"],
        "trials": [dataclasses.asdict(t) for t in trials],
    }


def plain(claim: Claim) -> Any:
    """The claim's settings as JSON has them."""
    return json.loads(json.dumps({"against": claim.against, "metric": claim.metric, **claim.settings}))


def record(slug: str, *, seeds: int | None = None) -> dict[str, Any]:
    """Run the recorded size of a claim and write its verdict into the package's results."""
    claim = claim_of(slug)
    found = judged(slug, claim, seeds=seeds or claim.settings.get("seeds", 3), work=WORK)
    results.record(slug, "claim", found)
    return found


def live(slug: str) -> dict[str, Any]:
    """The live size: the settings that `live` in the claim's settings changes, three seeds; nothing is recorded."""
    from tempfile import TemporaryDirectory

    claim = claim_of(slug)
    with TemporaryDirectory() as work:
        return judged(slug, claim_of(slug, claim.settings.get("live", {})), seeds=3, work=Path(work))
