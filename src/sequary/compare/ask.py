"""What a comparison asks of one candidate in one run. Frozen and small: it travels to worker processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    horizon: int
    levels: tuple[float, ...] = ()
    """Shares of the intervals: 0.8, 0.95."""
    seed: int = 0
    setting: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    """Overrides of the recipe (as `but` takes them), and `context`; for a rival, arguments of its constructor."""
    steps: int | None = None
    """Optimiser steps; None for what has none."""
    evaluations: int = 10
    """Looks at the validation part during a run, evenly spread: patience counts them."""

    def but(self, **changes: Any) -> Ask:
        return dataclasses.replace(self, **changes)

    @property
    def every(self) -> int:
        """Steps between looks at the validation part."""
        return max(1, (self.steps or 1) // self.evaluations)
