"""Memory that one step has freed serves the next.

The C library hands every block of more than 32 MB back to the system when it is freed, so that a step takes its large tensors anew, a
page of 4 KB at a time, each of which the system first fills with zeros. The setting is for the whole process and changes no result; on
systems other than Linux there is none.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MOST = 2**31 - 1
"""Bytes; mallopt takes an int."""


def keep() -> None:
    """Freed memory stays with the process, to be used again."""
    _call("mallopt", M_MMAP_THRESHOLD, MOST)
    _call("mallopt", M_TRIM_THRESHOLD, MOST)


def give_back() -> None:
    """What is free now goes to the system."""
    _call("malloc_trim", 0)


def _call(name: str, *args: int) -> None:
    """A function of the C library, where it has one of that name: musl's has not."""
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), name):
        getattr(library, name)(*args)
