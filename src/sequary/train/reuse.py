"""Memory that one step has freed serves the next.

The C library hands every block of more than 32 MB back to the system when it is freed, so that a step takes its large tensors anew, a
page of 4 KB at a time, each of which the system first fills with zeros. The setting changes no result; where the C library is
not GNU's there is none.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import platform
from collections.abc import Iterator

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MOST = 2**31 - 1
"""Bytes; mallopt takes an int."""
USUAL = 32 * 2**20
"""The largest threshold to which the C library goes by itself."""


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Freed memory stays with the process inside, to be used again; what is free at the end goes to the system."""
    _call("mallopt", M_MMAP_THRESHOLD, MOST)
    _call("mallopt", M_TRIM_THRESHOLD, MOST)
    try:
        yield
    finally:
        _call("mallopt", M_MMAP_THRESHOLD, USUAL)
        _call("mallopt", M_TRIM_THRESHOLD, 2 * USUAL)
        give_back()


def give_back() -> None:
    """What is free now goes to the system."""
    _call("malloc_trim", 0)


def _call(name: str, *args: int) -> None:
    """A function of GNU's C library, which alone has these."""
    if _gnu():
        getattr(ctypes.CDLL(None), name)(*args)


@functools.cache
def _gnu() -> bool:
    return platform.libc_ver()[0] == "glibc"
