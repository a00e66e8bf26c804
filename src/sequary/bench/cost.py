"""What layers cost, length by length: run, kept in a file, and drawn."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from sequary.core.files import write_atomic

Points = dict[int, dict[str, Any]]
FILE = "cost.json"
SHORTEST = 1.0
"""Milliseconds below which a time says nothing of growth."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sizes:
    lengths: tuple[int, ...] = (256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
    width: int = 256
    rows: int = 2
    threads: int = 2
    seconds: float = 60.0
    """Of one point; a layer goes to no length at which it would take longer."""
    memory_mb: int = 8192


def run(names: Sequence[str], sizes: Sizes, folder: Path, tell: Callable[[str], None]) -> dict[str, Points]:
    """All points; those that lie in the folder's file already are not measured again."""
    file = folder / FILE
    kept = json.loads(file.read_text()) if file.exists() else {}
    asked = {"width": sizes.width, "rows": sizes.rows, "threads": sizes.threads}
    if kept and kept["sizes"] != asked:
        raise ValueError(f"{file} holds a run with {kept['sizes']}, not {asked}: give another --out, or delete it")
    found: dict[str, Points] = {
        n: {int(t): p for t, p in points.items()} for n, points in kept.get("layers", {}).items()
    }
    best = kept.get("rate", 0.0)
    for name in names:
        points = found.setdefault(name, {})
        for length in wanted(points, sizes):
            points[length] = point(name, length, sizes)
            best = max(best, rate(sizes.threads))
            tell(f"{name} {length}: {said(points[length])}")
            write_atomic(file, json.dumps({"sizes": asked, "rate": best, "layers": found}, indent=1) + "\n")
    return found


def wanted(points: Points, sizes: Sizes) -> Iterator[int]:
    """Lengths still to be measured, in turn, until one fails or is expected to take too long."""
    for length in sorted(sizes.lengths):
        if length not in points:
            if expected(points, length) > sizes.seconds:
                return
            yield length
        if "error" in points.get(length, {}):
            return


def expected(points: Points, length: int) -> float:
    """Seconds of a point's three runs, time growing as between the last two shorter ones, or quadratically after the first alone."""
    known = sorted((n, p["both_ms"]) for n, p in points.items() if n < length and p.get("both_ms", 0) > SHORTEST)
    if not known:
        return 0.0
    before, last = known[0] if len(known) == 1 else known[-2], known[-1]
    grown = 2.0 if before == last else math.log(last[1] / before[1]) / math.log(last[0] / before[0])
    return 3e-3 * last[1] * (length / last[0]) ** grown


def point(name: str, length: int, sizes: Sizes) -> dict[str, Any]:
    """`measured` in a process of its own, with what limits it."""
    command = [sys.executable, "-m", "sequary.bench.point", name, *map(str, (length, sizes.width, sizes.rows))]
    environment = os.environ | {"OMP_NUM_THREADS": str(sizes.threads)}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (sizes.memory_mb << 20, sizes.memory_mb << 20))

    try:
        done = subprocess.run(
            command, env=environment, preexec_fn=limit, capture_output=True, text=True, timeout=4 * sizes.seconds, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"more than {4 * sizes.seconds:.0f} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        full = any(told in done.stderr for told in ("can't allocate memory", "Cannot allocate memory", "bad_alloc"))
        return {"error": f"more than {sizes.memory_mb} MB" if full else lines[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def said(point: dict[str, Any]) -> str:
    if "error" in point:
        return point["error"]
    decoded = f", {point['token_ms']:.2f} ms a token" if "token_ms" in point else ""
    return f"{point['both_ms']:.1f} ms both ways, {point['memory_mb']:.0f} MB{decoded}"


def rate(threads: int) -> float:
    """Multiply-adds a second of a large float32 product, the best of a few."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    a, best = torch.randn(1024, 1024), math.inf
    for _ in range(8):
        began = perf_counter()
        torch.mm(a, a)
        best = min(best, perf_counter() - began)
    torch.set_num_threads(before)
    return 1024**3 / best


def exponent(points: Points, key: str) -> float | None:
    """Slope of log time, or log memory, over log length, from the last three lengths that took long enough to tell."""
    pairs = [(p["tokens"], p[key]) for _, p in sorted(points.items()) if key in p and p[key] > SHORTEST]
    if len(pairs) < 3:
        return None
    x, y = np.log(np.array(pairs[-3:], dtype=float)).T
    return float(np.polyfit(x, y, 1)[0])
