"""Freed memory serves the next step: pages are taken from the system once, and given back at the end."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CODE = """
import resource
from pathlib import Path
import torch
from sequary.train.reuse import kept
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 * 2**20).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])
print(faults())
with kept():
    faults()
    print(faults())
    inside = resident()
print(inside - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")
def test_large_tensors_come_from_memory_that_is_there() -> None:
    """Ten tensors of 64 MB, one after the other: without, each takes 16,384 pages of 4 KB anew."""
    told = subprocess.check_output([sys.executable, "-c", CODE], text=True)
    anew, once, returned = (int(line) for line in told.split())
    assert anew > 160_000
    assert once < anew / 4
    assert returned > 16_000
