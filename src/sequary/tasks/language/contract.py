"""What a saved language model was fitted on, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from sequary.tasks import contract
from sequary.tasks.contract import Kept
from sequary.tasks.language.fitted import Fitted


class Contract(contract.Contract):
    task: Literal["language"] = "language"

    @classmethod
    def of(cls, fitted: Fitted, versions: Mapping[str, str]) -> Self:
        return cls(versions=dict(versions), context=fitted.context, record=Kept.of(fitted.record))
