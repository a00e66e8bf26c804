"""Freed memory serves the next step: pages are taken from the system once, and given back at the end."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource
import torch
from sequary.train.reuse import kept
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 * 2**20).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
with kept():
    faults()
    print(faults())
print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such setting")
def test_large_tensors_come_from_memory_that_is_there() -> None:
    """Ten tensors of 64 MB, one after the other: without, each takes 16,384 pages anew."""
    once, anew = (int(line) for line in subprocess.check_output([sys.executable, "-c", CODE], text=True).split())
    assert anew > 160_000
    assert once < anew / 4
