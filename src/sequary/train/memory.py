"""How much memory a run added at its peak."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from sequary.train.reuse import give_back

MB = 2**20


class Peak:
    """Counts from its making: resident memory of this process, or allocated memory of a GPU.

    On Linux the kernel's high-water mark is reset and free memory given back, so that earlier peaks do not hide this one. Elsewhere a
    run that stays below an earlier peak of the process reads as 0.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self.before = torch.cuda.memory_allocated(device)
        else:
            give_back()
            self.before = _resident()

    def added(self) -> float:
        """Megabytes (2**20 bytes)."""
        now = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else _highest()
        return max(0, now - self.before) / MB


def _resident() -> int:
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:  # not Linux, or not allowed
        return _highest()


def _highest() -> int:
    try:
        return _status("VmHWM")
    except OSError:
        import resource  # POSIX only, hence here

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
