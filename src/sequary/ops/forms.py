"""Which form of an op runs: picked by the op, or forced for a stretch of code, as torch's `sdpa_kernel` does."""

from __future__ import annotations

import difflib
from collections.abc import Generator
from contextlib import contextmanager

import torch

FORMS = frozenset(
    {
        "blocks",
        "chunked",
        "closed",
        "factored",
        "fft",
        "flex",
        "fourier",
        "fused",
        "gather",
        "grouped",
        "groups",
        "implicit",
        "kernels",
        "packed",
        "passes",
        "products",
        "reference",
        "scan",
        "scatter",
        "sdpa",
        "slices",
        "sorted",
        "split",
        "tiled",
        "units",
    }
)
"""The names of all forms that some op has."""

# A plain global and no context variable, since torch.compile reads the one (and guards on it) and cannot trace the other.
_forced: str | None = None


@contextmanager
def form(name: str) -> Generator[None]:
    """Inside, every op that has a form called `name` uses it; "" leaves each to its own choice. For one thread at a time.

    "reference" is the plain loop or product, which every op has and which alone must have second derivatives (energy-based
    transformers and test-time training ask for it).

    Raises:
        ValueError: no op has a form of this name.
    """
    if name and name not in FORMS:
        near = difflib.get_close_matches(name, FORMS) or sorted(FORMS)
        raise ValueError(f"no op has a form {name!r}; use {', '.join(near)} (sequary.ops.forms.FORMS names all)")
    global _forced
    before, _forced = _forced, name
    try:
        yield
    finally:
        _forced = before


def chosen(default: str) -> str:
    """The form that is forced here, or `default`."""
    return _forced or default


BRIEF = 2
"""Tokens up to which a plain loop takes less time than a chunked form takes to set up."""


def recurrent(length: int) -> str:
    """The default form of an op that has a loop over tokens and a chunked form: the loop for a decoder's steps, where nothing is
    learnt or traced."""
    step = not torch.is_grad_enabled() and not torch.compiler.is_compiling() and length <= BRIEF
    return "reference" if step else "chunked"
