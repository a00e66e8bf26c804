"""Who takes part in a comparison of forecasts: floors, ordinary rivals, systems. All learn and forecast by one interface.

An entrant is handed the whole panel and an origin, and must itself look at nothing from after it: whether it does is what
the leak probe (`leak`) finds out, by the same two calls that the backtest makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sequary.compare import candidates
from sequary.compare.ask import Ask
from sequary.compare.candidates import Kind
from sequary.compare.folds import Origin
from sequary.data.panel import Forecast, Panel


class Learned(candidates.Learned, Protocol):
    def forecast(self, panel: Panel, origin: Origin, ask: Ask) -> list[Forecast]:
        """For each series that `known` keeps at the origin, in order."""
        ...


class Entrant(Protocol):
    """Picklable: it travels to worker processes."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def seeded(self) -> bool:
        """Whether another seed gives another result."""
        ...

    @property
    def trained(self) -> bool:
        """Whether it takes optimiser steps, and so has settings to choose by successive halving."""
        ...

    def settings(self) -> list[dict[str, Any]]:
        """Worth trying, its own first; one empty one where there is nothing to choose."""
        ...

    def light(self) -> dict[str, Any]:
        """What makes a replay by the leak probe quick, beside the setting that is asked for."""
        ...

    def learn(self, panel: Panel, origin: Origin, ask: Ask) -> Learned: ...


class Sized(Entrant, Protocol):
    """A rival: it takes no steps, but what it costs can be sized to its share of the budget."""

    def costs(self, panel: Panel, origin: Origin, ask: Ask) -> dict[str, float]:
        """Measured seconds that `fitted_to` needs, beside `latency_ms`, of one forecast of one series."""
        ...

    def fitted_to(
        self, panel: Panel, seconds: float, costs: Mapping[str, float], origins: int
    ) -> tuple[dict[str, Any], float]:
        """The setting with which one run takes at most about `seconds`, and how long it takes.

        Raises:
            OutOfTime: none does.
        """
        ...


class OutOfTime(Exception):
    """The share of the budget does not suffice."""
