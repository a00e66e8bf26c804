"""A made-up text with some order in it, for claims on text in a clone that has no Shakespeare."""

from __future__ import annotations

import numpy as np
import pytest

from sequary.claims import text
from sequary.tasks.language.train import Bytes

WORDS = (b"the ", b"king ", b"and ", b"queen ", b"sleep ", b"no ", b"more.\n", b"who ", b"goes ", b"there? ")


def spoken(monkeypatch: pytest.MonkeyPatch, *modules: object) -> tuple[Bytes, Bytes]:
    """In place of Shakespeare, for `text` and for the modules that name it themselves."""
    rng = np.random.default_rng(0)
    data = np.frombuffer(b"".join(WORDS[i] for i in rng.integers(len(WORDS), size=1200)), dtype=np.uint8)
    halves = data[: len(data) * 9 // 10], data[len(data) * 9 // 10 :]
    for module in (text, *modules):
        monkeypatch.setattr(module, "shakespeare", lambda: halves)
    return halves
