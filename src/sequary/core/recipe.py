"""One paper, one value: which parts with which arguments, how they learn, and what is done with them afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

from sequary.core import plain
from sequary.core.contracts import Decoder, Edit, Model, Objective, Probe
from sequary.core.part import Part, bind, put
from sequary.core.place import Place


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """Settings of one stage of the one training loop."""

    steps: int = 1000
    batch: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    warmup: float = 0.0
    """Fraction of the steps in which the learning rate rises linearly from 0."""
    schedule: Literal["constant", "cosine", "linear", "halving"] = "cosine"
    """From the peak down to 0 at the last step; halving: to half of it after each tenth of the steps."""
    clip: float | None = 1.0
    """Greatest norm of the gradient over all parameters."""
    ema: float | None = None
    """Decay of the averaged weights that evaluation and saving use."""
    patience: int | None = None
    """Evaluations without improvement on validation before the stage stops; the best weights are kept."""
    evaluate_every: int = 100


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What learns (`learns`: a dotted name inside the model, or "model"), by which loss, on what. `data` None: the user's own."""

    objective: Objective
    train: Train = Train()
    data: Callable[..., Any] | None = None
    learns: str = "model"
    name: str = "train"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    dim: int
    model: Part[Model]
    stages: tuple[Stage, ...] = ()
    decode: Decoder | None = None
    edits: tuple[Edit, ...] = ()
    probes: tuple[Probe, ...] = ()
    tiny: tuple[tuple[str, Any], ...] = ()
    """Overrides (as `but` takes them) under which it trains a step in well under a second on a CPU."""

    def but(self, **changes: Any) -> Recipe:
        """A copy changed: `dim=64`, `model__backbone__depth=2`, `stages__0__train__lr=1e-4`."""
        made = self
        for path, value in changes.items():
            made = put(made, path, value, "recipe")
        return made

    def bind(self, spec: Mapping[str, Any]) -> Recipe:
        """With what only data can give (channels, horizon, vocab …) filled in."""
        return bind(self, spec)

    def shrunk(self) -> Recipe:
        """At the size of `tiny`."""
        return self.but(**dict(self.tiny))

    def build(self) -> Model:
        """The model with fresh weights, drawn from torch's generator. The caller seeds it."""
        return self.model.build(Place(self.dim))

    def to_json(self) -> dict[str, Any]:
        return plain.dump(self)

    @staticmethod
    def from_json(data: Any) -> Recipe:
        """Names are resolved inside sequary and its entry points only; anything else is refused."""
        made = plain.load(data)
        if not isinstance(made, Recipe):
            raise plain.RecipeError(f"expected a recipe, found {type(made).__name__}")
        return made
