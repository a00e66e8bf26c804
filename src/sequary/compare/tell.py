"""How a comparison says what it is doing, to whoever listens."""

from __future__ import annotations

from typing import Protocol


class Tell(Protocol):
    def say(self, line: str) -> None:
        """Something worth knowing, on one line."""
        ...

    def stage(self, what: str, part: float) -> None:
        """What is being done, and which part of it is done: 0 to 1."""
        ...


class Quiet:
    def say(self, line: str) -> None: ...

    def stage(self, what: str, part: float) -> None: ...


QUIET = Quiet()
