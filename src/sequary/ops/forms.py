"""Which form of an op runs: picked by the op, or forced for a stretch of code, as torch's `sdpa_kernel` does."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_forced: ContextVar[str | None] = ContextVar("form", default=None)


@contextmanager
def form(name: str) -> Generator[None]:
    """Inside, every op that has a form called `name` uses it. "reference" is the plain loop or product, which every op has
    and which alone must have second derivatives (energy-based transformers and test-time training ask for it)."""
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)


def chosen(default: str) -> str:
    """The form that is forced here, or `default`."""
    return _forced.get() or default
