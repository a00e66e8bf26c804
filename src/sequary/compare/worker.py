"""One run in a process of its own: one thread, its result written whole or not at all, its crash a result too."""

from __future__ import annotations

import dataclasses
import json
import os
import traceback
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, NoReturn

from sequary.compare.ask import Ask
from sequary.compare.children import end_with_parent
from sequary.compare.measure import Limits, measured
from sequary.compare.task import Task
from sequary.core.files import OutputError, write_atomic

UNWRITTEN = 100
"""Exit status of a process that could not write, less the number of the system's error."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    candidate: str
    entrant: Any
    run: str
    """Its name: measure, rung0-1, seed2, probe, refit."""
    action: Literal["measure", "trial", "probe", "refit"]
    ask: Ask
    file: Path
    role: str = "board"
    metric: str = "mase"
    drawn: tuple[str, ...] = ()
    limits: Limits = Limits()
    folder: Path | None = None
    need_mb: float = 0.0
    limit_s: float = float("inf")
    """Wall seconds after which it is stopped."""


def main(task: Task, job: Job) -> None:
    """The process's whole life."""
    import torch
    from threadpoolctl import threadpool_limits

    from sequary.train.memory import Peak

    end_with_parent()
    torch.set_num_threads(1)
    peak, began = Peak(torch.device("cpu")), perf_counter()
    with threadpool_limits(1):
        try:
            found = act(task, job)
        except Exception as error:  # noqa: BLE001  # a candidate's crash is reported on the board, whatever it is
            if isinstance(error, OutputError) and error.errno:
                _unwritten(error.errno)
            found = {"error": described(error), "trace": traceback.format_exc()}
    found |= {"seconds": perf_counter() - began, "memory_mb": peak.added()}
    try:
        write_atomic(job.file, json.dumps(found))
    except OutputError as error:
        _unwritten(error.errno or 0)


def _unwritten(reason: int) -> NoReturn:
    """End with the system's reason as the status: a run whose result finds no room is no crash of its candidate."""
    os._exit(UNWRITTEN + reason)


def act(task: Task, job: Job) -> dict[str, Any]:
    if job.action == "measure":
        return measured(task, job.entrant, job.ask, job.limits)
    if job.action == "probe":
        return {"shifts": task.probe(job.entrant, job.ask)}
    if job.action == "refit":
        assert job.folder is not None
        task.refit(job.entrant, job.ask, job.folder)
        return {}
    outcome = task.run(job.entrant, job.role, job.ask, job.drawn)
    failed = outcome.failed()
    if failed is not None:
        return {"error": failed}
    score = outcome.means().get(job.metric)
    return {**dataclasses.asdict(outcome), "score": score}


def described(error: Exception) -> str:
    """Kind, message and the place in the file where it happened, on one line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    words = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {words} ({Path(last.filename).name}, line {last.lineno})"
