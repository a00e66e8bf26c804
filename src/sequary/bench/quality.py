"""What layers learn at an equal budget, in hosts of one size (bench/host.py): the tasks of bench/tasks.py.

Each learns as many rows as the others, its learning rate chosen among `RATES` on held-out rows by the first seed; three seeds are tested.
Runs are processes of one thread, side by side; each result is kept as it comes.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import torch

from sequary.bench.host import DIM, HIDDEN, level, size
from sequary.bench.layers import Layer, layers
from sequary.bench.tasks import TASKS, Task
from sequary.claims.forecast_gain import DataMissing, shared
from sequary.claims.symbols import trained
from sequary.compare.children import side_by_side
from sequary.core.files import write_atomic
from sequary.laws.cost import Work

FILE = "quality.json"
RATES = (1e-3, 3e-3, 1e-2)
SEEDS = (0, 1, 2)


def learnt(name: str, task: str, rate: float, seed: int) -> dict[str, float]:
    """Scores on held-out rows and on test rows, after one run."""
    torch.set_num_threads(1)
    of, (layer,) = TASKS[task], layers([name])
    recipe = level(layer, of.vocab)
    assert recipe is not None
    recipe = recipe.but(
        **{f"stages__0__train__{n}": v for n, v in (("lr", rate), ("steps", of.steps), ("batch", of.batch))}
    )
    model = trained(recipe, of.make(of.steps * of.batch, seed, "train"), vocab=of.vocab, seed=seed)
    return {part: of.score(model, of.make(1000, seed, part)) for part in ("choose", "test")}


def facts(layer: Layer, task: str) -> dict[str, float] | None:
    """Parameters of the host, and the work of one row both ways: operations of products, and one for each number that is written."""
    of = TASKS[task]
    recipe = level(layer, of.vocab)
    if recipe is None:
        return None
    model, rows = recipe.bind({"vocab": of.vocab}).build(), of.make(1, 0, "test")
    with Work() as work:
        model.head(model(rows.batch(torch.zeros(1, dtype=torch.long))).hidden).sum().backward()
    return {"params": size(recipe, of.vocab), "work": work.total}


def causal(names: Sequence[str] | None) -> list[Layer]:
    """Those that a language model can hold: causal, on a plain sequence of any length."""
    found = ((layer, layer.build(DIM)) for layer in layers(names))
    return [
        layer
        for layer, mixer in found
        if mixer.causal and not mixer.dims and mixer.length is None and not mixer.remembers
    ]


def run(names: Sequence[str] | None, folder: Path, workers: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """All runs that the folder's file does not hold yet."""
    file = folder / FILE
    found = read(file)
    entrants = causal(names)
    for layer, task in itertools.product(entrants, possible(tell)):
        if enters(layer.id, task):
            kept = found.setdefault(task, {}).setdefault(layer.id, {"budget": budget(task), "runs": {}})
            kept.setdefault("facts", facts(layer, task))
    with side_by_side(workers) as pool:
        for stage in (first, later):
            jobs = {pool.submit(learnt, *job): job for job in stage(found, [layer.id for layer in entrants])}
            for done in as_completed(jobs):
                name, task, rate, seed = jobs[done]
                found[task][name]["runs"][key(rate, seed)] = done.result()
                tell(f"{task} {name} lr {rate} seed {seed}: {done.result()['test']:.3f}")
                write_atomic(file, json.dumps(found, indent=1) + "\n")
    return found


def read(file: Path) -> dict[str, Any]:
    """What the file holds, none of it from another budget."""
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for task, name, kept in ((task, name, kept) for task, each in found.items() for name, kept in each.items()):
        if kept["budget"] != (asked := budget(task)):
            raise ValueError(
                f"{file}: {task} of {name} is by {kept['budget']}, not {asked}: give another --out, or delete it"
            )
    return found


def budget(task: str) -> dict[str, int]:
    return {"steps": TASKS[task].steps, "batch": TASKS[task].batch, "hidden": HIDDEN}


def possible(tell: Callable[[str], None]) -> list[str]:
    """The tasks whose data are there; the others are named."""
    found = list[str]()
    for name, task in TASKS.items():
        try:
            if task.needs:
                shared(task.needs)
            found.append(name)
        except DataMissing as reason:
            tell(f"{name} is left out: {reason}")
    return found


def enters(name: str, task: str) -> bool:
    few = TASKS[task].entrants
    return few is None or name in few


def key(rate: float, seed: int) -> str:
    return f"{rate} {seed}"


def first(found: dict[str, Any], names: Sequence[str]) -> Iterator[tuple[str, str, float, int]]:
    """The first seed at every rate."""
    for task, name, runs in fitting(found, names):
        yield from ((name, task, rate, SEEDS[0]) for rate in RATES if key(rate, SEEDS[0]) not in runs)


def later(found: dict[str, Any], names: Sequence[str]) -> Iterator[tuple[str, str, float, int]]:
    """The other seeds at the rate that is best on held-out rows."""
    for task, name, runs in fitting(found, names):
        rate = chosen(runs)
        yield from ((name, task, rate, seed) for seed in SEEDS[1:] if key(rate, seed) not in runs)


def fitting(found: dict[str, Any], names: Sequence[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(task, layer, its runs) of those that are not larger than the budget."""
    for task, name in itertools.product(TASKS, names):
        kept = found.get(task, {}).get(name)
        if kept is not None and kept["facts"] is not None:
            yield task, name, kept["runs"]


def chosen(runs: dict[str, Any]) -> float:
    return max(RATES, key=lambda rate: runs[key(rate, SEEDS[0])]["choose"])


def complete(kept: dict[str, Any] | None) -> bool:
    """Whether all its runs are there, or it is too large for the budget."""
    if kept is None:
        return False
    runs = kept["runs"]
    if kept["facts"] is None:
        return True
    return all(key(rate, SEEDS[0]) in runs for rate in RATES) and all(key(chosen(runs), s) in runs for s in SEEDS)


def table(found: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Markdown: scores on test rows, mean and spread over seeds."""
    lines = [
        f"| layer | {' | '.join(TASKS)} | parameters | operations a row, millions |",
        "|---" * (len(TASKS) + 3) + "|",
    ]
    for name in names:
        cells = [cell(TASKS[task], found.get(task, {}).get(name)) for task in TASKS]
        known = found["recall"][name]["facts"] or {"params": 0, "work": 0}
        lines.append(f"| {name} | {' | '.join(cells)} | {known['params'] / 1e3:.0f} k | {known['work'] / 1e6:.0f} |")
    return lines


def cell(task: Task, kept: dict[str, Any] | None) -> str:
    """Nothing while runs are missing."""
    if not complete(kept):
        return ""
    assert kept is not None
    if kept["facts"] is None:
        return "larger than the budget"
    rate = chosen(kept["runs"])
    return task.said([kept["runs"][key(rate, seed)]["test"] for seed in SEEDS])
