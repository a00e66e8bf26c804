"""Runs side by side, one single-threaded process each, one a core."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import sys
import types
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from time import perf_counter
from typing import Any

from sequary.compare import worker
from sequary.compare.machine import free_mb
from sequary.compare.task import Task
from sequary.compare.worker import Job
from sequary.core.files import OutputError, explained, write_atomic

Next = Callable[[], list[Job]]
"""Jobs that may start now, the most urgent first; those that run are left out by the pool."""
Ended = Callable[[Job, dict[str, Any]], None]


@dataclasses.dataclass(slots=True)
class Running:
    job: Job
    process: BaseProcess
    began: float


class Pool:
    """`run` works until nothing is left to do. A process that dies without a result is a crashed run."""

    def __init__(self, task: Task, workers: int) -> None:
        self.task, self.workers = task, workers
        methods = multiprocessing.get_all_start_methods()
        if "forkserver" in methods:
            self.context = multiprocessing.get_context("forkserver")
            self.context.set_forkserver_preload(["sequary.compare.preload"])
        else:
            self.context = multiprocessing.get_context("spawn")

    def warm(self) -> None:
        """Load what workers need, before any clock runs."""
        process = self.context.Process(target=_nothing)
        with _plain_main(), _one_thread():
            process.start()
        process.join()

    def run(self, jobs: Next, ended: Ended, tick: Callable[[], None] = lambda: None) -> None:
        running: dict[int, Running] = {}
        try:
            while True:
                self._fill(jobs, running)
                if not running:
                    return
                for sentinel in wait(list(running), timeout=0.2):
                    done = running.pop(sentinel)  # pyright: ignore[reportArgumentType]
                    done.process.join()
                    ended(done.job, self._result(done))
                for each in running.values():
                    if perf_counter() - each.began > each.job.limit_s:
                        each.process.kill()
                tick()
        finally:
            for left in running.values():
                left.process.terminate()

    def _fill(self, jobs: Next, running: dict[int, Running]) -> None:
        """Start what fits: into the cores, and, of what needs much memory, into what is free."""
        busy = {r.job.file for r in running.values()}
        for job in jobs():
            if len(running) >= self.workers:
                return
            if job.file in busy or (running and job.need_mb > free_mb()):
                continue
            process, began = self.context.Process(target=worker.main, args=(self.task, job)), perf_counter()
            job.file.unlink(missing_ok=True)
            with _plain_main(), _one_thread():
                process.start()
            running[process.sentinel] = Running(job, process, began)

    def _result(self, done: Running) -> dict[str, Any]:
        seconds = perf_counter() - done.began
        if done.job.file.exists():
            found = json.loads(done.job.file.read_text(encoding="utf-8"))
            return {**found, "start_up": seconds - found["seconds"], "seconds": seconds}
        code = done.process.exitcode or 0
        if code >= worker.UNWRITTEN:
            reason = code - worker.UNWRITTEN
            raise explained(done.job.file.parents[2], OSError(reason, os.strerror(reason)))
        how = f"killed by signal {-code}" if code < 0 else f"ended with status {code} and no result"
        why = ", as the system does when memory runs out" if code == -9 else ""
        limit = done.job.limit_s
        said = {"error": f"its process was {how}{why}"}
        if seconds > limit:
            said = {"refused": ("out of time", f"measuring alone took more than {limit:.1f} s; raise --budget")}
        found = {**said, "seconds": seconds, "memory_mb": 0.0}
        try:
            write_atomic(done.job.file, json.dumps(found))
        except OutputError as error:
            raise explained(done.job.file.parents[2], error) from error
        return found


def _nothing() -> None: ...


@contextlib.contextmanager
def _plain_main() -> Iterator[None]:
    """multiprocessing would run the caller's script again in each worker; workers need nothing of it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Libraries that read this when they are loaded start no threads of their own in a worker."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
