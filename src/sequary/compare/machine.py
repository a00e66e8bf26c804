"""What this machine offers: cores, and memory that is free now."""

from __future__ import annotations

import os
from pathlib import Path

MB = 2**20
_GROUP = Path("/sys/fs/cgroup")


def cores() -> int:
    """Cores that this process may use: its affinity, and the quota of its control group."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        count = os.cpu_count() or 1
    try:
        quota, period = (_GROUP / "cpu.max").read_text().split()
        return max(1, min(count, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such group, or no limit ("max")
        return count


def free_mb() -> float:
    """Memory that can be had without swapping; infinite where it cannot be found out."""
    return min(_of_machine(), _of_group())


def _of_machine() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable"))
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / MB
    except (AttributeError, ValueError, OSError):
        return float("inf")


def _of_group() -> float:
    try:
        most, used = (int((_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        return (most - used) / MB
    except (OSError, ValueError):
        return float("inf")
