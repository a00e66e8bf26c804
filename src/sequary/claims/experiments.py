"""Runs claims: recorded ones, trial by trial and resumable, and live ones, which say whether they agree with the record."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import importlib.util
import json
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import as_completed
from pathlib import Path
from time import process_time
from typing import Any

import torch

from sequary.claims import results
from sequary.claims.judging import Trial, judge
from sequary.compare.children import side_by_side
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


def timed(call: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """What `call` gives, by one thread, and the seconds of the processor that it took."""
    torch.set_num_threads(1)
    began = process_time()
    return call(*args), process_time() - began


def trial(slug: str, claim: Claim, seed: int, chosen: Any) -> dict[str, Any]:
    return dataclasses.asdict(experiment(claim).trial(slug, claim, seed, chosen))


def trials(
    slug: str, claim: Claim, seeds: Iterable[int], chosen: Any, workers: int
) -> Iterator[tuple[int, Any, float]]:
    """(seed, trial, seconds) as they come; `workers` processes side by side."""
    if workers == 1:
        yield from ((seed, *timed(trial, slug, claim, seed, chosen)) for seed in seeds)
        return
    with side_by_side(workers) as pool:
        jobs = {pool.submit(timed, trial, slug, claim, seed, chosen): seed for seed in seeds}
        yield from ((jobs[done], *done.result()) for done in as_completed(jobs))


def judged(slug: str, claim: Claim, *, seeds: int, work: Path, workers: int = 1) -> dict[str, Any]:
    """All trials, those found in `work` not run again, and the verdict. One thread each."""
    path = work / f"{files()[slug].stem}.json"
    key = results.fingerprint(slug, "claim")
    done: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if done.get("sources") != key or done.get("settings") != plain(claim):
        done = {"sources": key, "settings": plain(claim), "trials": {}}
    took: dict[str, float] = done.setdefault("took", {})
    if "chosen" not in done:
        done["chosen"], took["tuning"] = timed(experiment(claim).tune, slug, claim)
        write_atomic(path, json.dumps(done))
    missing = [seed for seed in range(seeds) if str(seed) not in done["trials"]]
    for seed, found, seconds in trials(slug, claim, missing, done["chosen"], workers):
        done["trials"][str(seed)], took[str(seed)] = found, seconds
        write_atomic(path, json.dumps(done))
    kept = [Trial(**done["trials"][str(seed)]) for seed in range(seeds)]
    verdict, numbers = judge(claim, kept)
    parts = ("tuning", *map(str, range(seeds)))
    machine = f"{platform.machine()}, torch {torch.__version__.partition('+')[0]}, one thread"
    return {
        "text": claim.text,
        "verdict": verdict,
        "numbers": {"metric": claim.metric, **numbers},
        "seeds": seeds,
        "measured": f"{dt.datetime.now(dt.UTC).date().isoformat()}, {machine}",
        "settings": plain(claim),
        "chosen": done["chosen"],
        "trials": [dataclasses.asdict(t) for t in kept],
        "core_seconds": round(sum(took[part] for part in parts), 1) if took.keys() >= set(parts) else None,
    }


def plain(claim: Claim) -> Any:
    """The claim's settings as JSON has them."""
    return json.loads(json.dumps({"against": claim.against, "metric": claim.metric, **claim.settings}))


def record(slug: str, *, seeds: int | None = None, workers: int = 1) -> dict[str, Any]:
    """Run the recorded size of a claim and write its verdict into the package's results."""
    claim = claim_of(slug)
    found = judged(slug, claim, seeds=seeds or claim.settings.get("seeds", 3), work=WORK, workers=workers)
    results.record(slug, "claim", found)
    return found


def live(slug: str) -> dict[str, Any]:
    """The live size: the settings that `live` in the claim's settings changes, three seeds; nothing is recorded."""
    from tempfile import TemporaryDirectory

    claim = claim_of(slug)
    with TemporaryDirectory() as work:
        return judged(slug, claim_of(slug, claim.settings.get("live", {})), seeds=3, work=Path(work))
