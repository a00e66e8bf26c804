"""Imports torch once, then forks a child for each run: `{"folder": …, "kill": [point, n]}` a line in, its exit status out.

A child kills itself with SIGKILL at the n-th passing of a point, or lives to the end (`"kill": null`).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

from sequary.core import files
from sequary.train import loop
from tests.train.tiny import STAGE, Rows, tiny


class Bomb:
    """Goes off when `point` is passed for the n-th time."""

    def __init__(self, kill: list[Any] | None) -> None:
        self.point, self.left = kill or (None, 0)

    def pass_by(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def child(folder: Path, bomb: Bomb, every: int) -> None:
    steps = 0

    def batch(_n: int) -> None:
        nonlocal steps
        bomb.pass_by("batch")
        steps += 1

    write, sync, replace = os.write, os.fsync, os.replace

    def half(file: int, raw: memoryview) -> int:
        done = write(file, raw[: len(raw) // 2 + 1])
        bomb.pass_by("write")
        return done

    def fsync(file: int) -> None:
        bomb.pass_by("fsync")
        sync(file)

    def rename(old: Path, new: Path) -> None:
        bomb.pass_by("before rename")
        replace(old, new)
        bomb.pass_by("renamed")

    os.write, files.os.fsync, files.os.replace = half, fsync, rename
    loop.perf_counter = lambda: float(steps)  # a clock that counts steps: checkpoints come every `every` of them
    loop.SAVE_SECONDS = every
    held = Rows(11, seed=1, touch=lambda n: bomb.pass_by("validation"))
    loop.fit(tiny(), STAGE, Rows(touch=batch), held, seed=5, folder=folder)


def main() -> None:
    torch.set_num_threads(1)
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                child(Path(asked["folder"]), Bomb(asked["kill"]), asked["every"])
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        if asked.get("after") is not None:
            time.sleep(asked["after"])
            os.kill(pid, signal.SIGKILL)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
