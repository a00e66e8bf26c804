"""Which form of an op runs: picked by the op, or forced for a stretch of code, as torch's `sdpa_kernel` does."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

# A plain global and no context variable, since torch.compile reads the one (and guards on it) and cannot trace the other.
_forced: str | None = None


@contextmanager
def form(name: str) -> Generator[None]:
    """Inside, every op that has a form called `name` uses it; "" leaves each to its own choice. For one thread at a time.

    "reference" is the plain loop or product, which every op has and which alone must have second derivatives (energy-based
    transformers and test-time training ask for it).
    """
    global _forced
    before, _forced = _forced, name
    try:
        yield
    finally:
        _forced = before


def chosen(default: str) -> str:
    """The form that is forced here, or `default`."""
    return _forced or default
