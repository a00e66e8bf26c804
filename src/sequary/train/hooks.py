"""What a stage may change inside the loop. Hooks pass through the loop, never around it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from sequary.core.contracts import Model, Objective
from sequary.core.values import Batch

Compute = Callable[[], Tensor]
"""Clears the gradients, runs objective and backward on the batch of this step, and returns the loss (detached)."""


@runtime_checkable
class Progressive(Protocol):
    """A policy that anneals: an objective with this method is asked, before each step, for the objective of the moment.

    `progress` is 0 at the first step and 1 at the last. Validation asks for 1: what is decoded later, and the same yardstick
    for every evaluation. A frozen dataclass answers with `dataclasses.replace(self, progress=progress)`.
    """

    def at(self, progress: float) -> Objective: ...


class Hook:
    """Does nothing; a hook overrides what it needs. Several are applied in the order given."""

    def start(self, model: Model) -> None:
        """Once, before the first step (and before a resume fills `state`)."""

    def batch(self, batch: Batch, progress: float) -> Batch:
        """The batch that the objective sees: curricula, further targets. `progress` in [0, 1]."""
        return batch

    def gradients(self, parameters: Sequence[nn.Parameter], compute: Compute) -> Tensor:
        """Leaves the gradients of this step on the parameters; `compute` may be called more than once."""
        return compute()

    def updated(self, model: Model, progress: float) -> None:
        """After the optimiser's step."""

    def state(self) -> dict[str, Tensor]:
        """The tensors that a resume must find again. A checkpoint copies them out, a resume copies them in, in place."""
        return {}


@dataclasses.dataclass(frozen=True)
class Curriculum(Hook):
    """`change(batch, progress)`: shorter sequences first, easier spans first."""

    change: Callable[[Batch, float], Batch]

    def batch(self, batch: Batch, progress: float) -> Batch:
        return self.change(batch, progress)


@dataclasses.dataclass(frozen=True)
class Teacher(Hook):
    """A fixed model gives targets: `targets(teacher, batch)` returns the batch with them, computed without gradients."""

    model: Model
    targets: Callable[[Model, Batch], Batch]

    def start(self, model: Model) -> None:
        self.model.to(next(model.parameters()).device).eval()

    @torch.no_grad()
    def batch(self, batch: Batch, progress: float) -> Batch:
        return self.targets(self.model, batch)


@dataclasses.dataclass
class MeanTeacher(Hook):
    """The teacher is the running average of the student: w ← decay · w + (1 − decay) · student after each step."""

    targets: Callable[[Model, Batch], Batch]
    decay: float = 0.99
    model: Model | None = None

    def start(self, model: Model) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def batch(self, batch: Batch, progress: float) -> Batch:
        assert self.model is not None
        return self.targets(self.model, batch)

    @torch.no_grad()
    def updated(self, model: Model, progress: float) -> None:
        assert self.model is not None
        for mean, p in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(p, 1 - self.decay)

    def state(self) -> dict[str, Tensor]:
        return {} if self.model is None else dict(self.model.named_parameters())


@dataclasses.dataclass(frozen=True)
class SharpnessAware(Hook):
    """Two passes: the gradient is taken at w + rho · g / ‖g‖, the step is made from w (SAM, arXiv 2010.01412)."""

    rho: float = 0.05

    def gradients(self, parameters: Sequence[nn.Parameter], compute: Compute) -> Tensor:
        loss = compute()
        grads = {p: p.grad for p in parameters if p.grad is not None}
        before = [p.detach().clone() for p in grads]
        scale = self.rho / (torch.nn.utils.get_total_norm(grads.values()) + 1e-12)
        with torch.no_grad():
            for p, g in grads.items():
                p.add_(g * scale)
        compute()
        with torch.no_grad():
            for p, w in zip(grads, before, strict=True):
                p.copy_(w)  # exact, where subtracting would round
        return loss
