"""How samples are drawn, as a user may change it: each option reaches the place of the decoder that it means, or is refused."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from sequary.core.contracts import Decoder
from sequary.core.part import put
from sequary.decode.choice import Likeliest

PLACES = {
    "temperature": ("choice__temperature", "temperature"),
    "top_k": ("choice__top_k",),
    "guidance": ("guidance__w",),
}
"""Option -> where it is in one decoder or another."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What is asked for; None: as the decoder has it."""

    temperature: float | None = None
    """0: always the likeliest symbol."""
    top_k: int | None = None
    """Of the likeliest symbols so many, 0: all."""
    guidance: float | None = None
    """How far towards the class; 1: not at all."""

    def __post_init__(self) -> None:
        for name, value, least in (
            ("temperature", self.temperature, 0),
            ("top_k", self.top_k, 0),
            ("guidance", self.guidance, -math.inf),
        ):
            if value is not None and not (math.isfinite(value) and value >= least):
                raise ValueError(
                    f"{flag(name)} {value:g}: a finite number{' of at least 0' if least == 0 else ''} is needed"
                )

    def of(self, decode: Decoder, name: str) -> Any:
        """`decode` changed; `name` is what errors call it. Raises ValueError for an option that would have no effect."""
        for option in ("temperature", "top_k", "guidance"):
            value = getattr(self, option)
            if value is not None:
                decode = _changed(decode, option, value, name)
        return decode


def flag(option: str) -> str:
    return "--" + option.replace("_", "-")


def _changed(decode: Decoder, option: str, value: float, name: str) -> Decoder:
    for place in PLACES[option]:
        greedy = place == "choice__temperature" and value == 0
        try:
            was = put(decode, place, value or 1.0 if greedy else value, name)
        except TypeError:
            continue
        return put(decode, "choice", Likeliest(), name) if greedy else was
    raise ValueError(f"{flag(option)} has no effect on {name}; leave it out")
