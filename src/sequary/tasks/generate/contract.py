"""What a saved image generator was fitted on, as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import FiniteFloat

from sequary.tasks import contract
from sequary.tasks.contract import Count, Kept, Strict
from sequary.tasks.generate.fitted import Fitted
from sequary.tasks.image_tokens import Rebuilt


class KeptRebuilt(Strict):
    """`Rebuilt`, as JSON."""

    error: FiniteFloat
    used: FiniteFloat | None
    perplexity: FiniteFloat | None


class Contract(contract.Contract):
    task: Literal["generate"] = "generate"
    height: Count
    width: Count
    channels: Literal[1, 3]
    classes: tuple[str, ...]
    rebuilt: KeptRebuilt

    @classmethod
    def of(cls, fitted: Fitted, versions: Mapping[str, str]) -> Self:
        return cls(
            versions=dict(versions),
            context=fitted.context,
            record=Kept.of(fitted.record),
            height=fitted.height,
            width=fitted.width,
            channels=fitted.channels,
            classes=fitted.classes,
            rebuilt=KeptRebuilt(**dataclasses.asdict(fitted.rebuilt)),
        )

    def known(self) -> dict[str, Any]:
        """The fields of `Fitted` that are this task's own."""
        names = ("height", "width", "channels", "classes")
        return {**{name: getattr(self, name) for name in names}, "rebuilt": Rebuilt(**dict(self.rebuilt))}
