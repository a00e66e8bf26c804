"""The values that pass between parts: batches, outputs, losses, samples, readings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sequary.core.ctx import Ctx, Memory, Tape

if TYPE_CHECKING:
    from sequary.core.contracts import Model
    from sequary.core.recipe import Recipe


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One typed value for all tasks. What a task does not have stays None."""

    values: Tensor
    """[B, T, C] series, [B, T] integer tokens, or [B, T, D] continuous tokens."""
    observed: Tensor | None = None
    """Shape of `values`, or [B, T]; True where `values` is real, False at gaps and padding (values there are 0)."""
    target: Tensor | None = None
    """[B, H, C] future, [B, T] next tokens or point labels, [B] classes, …"""
    weight: Tensor | None = None
    """Shape of `target`: how much each entry counts in the loss; 0 where the truth is missing."""
    positions: Tensor | None = None
    segments: Tensor | None = None
    order: Tensor | None = None
    grid: tuple[int, ...] | None = None
    static: Tensor | None = None
    """[B, S] constants of the row; categories as codes."""
    past: Tensor | None = None
    """[B, T, P] covariates known up to the origin."""
    future: Tensor | None = None
    """[B, T + H, K] covariates known beforehand, over the look-back and the horizon."""
    cond: Tensor | None = None
    """[B] classes or [B, D] vectors that generation is conditioned on."""
    memory: Memory | None = None
    """Embedded tokens of another sequence; `source` where they are still raw."""
    source: Tensor | None = None
    """[B, S] integer tokens that an encoder reads; 0-padded where `source_mask` is False."""
    source_mask: Tensor | None = None

    @property
    def token_mask(self) -> Tensor | None:
        """[B, T]: True where a position holds anything real."""
        return self.observed if self.observed is None or self.observed.dim() == 2 else self.observed.any(-1)

    def ctx(self, tape: Tape | None = None, rng: torch.Generator | None = None) -> Ctx:
        """What parts may know of this batch, for models whose positions are the batch's own."""
        return Ctx(
            mask=self.token_mask,
            order=self.order,
            positions=self.positions,
            segments=self.segments,
            memory=self.memory,
            grid=self.grid,
            tape=tape,
            rng=rng,
        )

    def map(self, fn: Any) -> Batch:
        """With `fn` applied to every tensor (moving to a device, taking rows)."""

        def over(v: Any) -> Any:
            if isinstance(v, Tensor):
                return fn(v)
            return (
                dataclasses.replace(v, **{f.name: over(getattr(v, f.name)) for f in dataclasses.fields(v)})
                if isinstance(v, Memory)
                else v
            )

        return dataclasses.replace(self, **{f.name: over(getattr(self, f.name)) for f in dataclasses.fields(self)})


@dataclasses.dataclass(frozen=True, slots=True)
class Level:
    """One resolution of a backbone's output: `x` [B, T, D] and the axes that T unfolds to."""

    x: Tensor
    grid: tuple[int, ...] | None = None


Levels = tuple[Level, ...]
"""Finest first; a flat backbone has one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    """The affine map of an instance normalisation: data = normal · `size` + `shift`; both broadcast over [B, T, C]."""

    shift: Tensor
    size: Tensor

    def normal(self, x: Tensor) -> Tensor:
        return (x - self.shift) / self.size

    def data(self, x: Tensor) -> Tensor:
        return x * self.size + self.shift


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """What a model computes: `hidden`, which its heads read; `scale` where it normalised its input; `extra` by name."""

    hidden: Tensor
    scale: Scale | None = None
    extra: Mapping[str, Tensor] = dataclasses.field(default_factory=dict[str, Tensor])


@dataclasses.dataclass(frozen=True, slots=True)
class Loss:
    """A scalar to minimise, and its named terms for the log."""

    value: Tensor
    terms: Mapping[str, Tensor] = dataclasses.field(default_factory=dict[str, Tensor])


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """What a decoder produced: `raw` (tokens or values, prompt included), the number of model calls, and what it did on the way."""

    raw: Tensor
    calls: int
    trace: tuple[Mapping[str, Any], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What a probe found: named tensors, and numbers to print."""

    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict[str, float])


@dataclasses.dataclass(frozen=True, slots=True)
class Edited:
    """A new model, the recipe that rebuilds its shapes layer by layer, and what the edit measured (parameters, error …)."""

    model: Model
    recipe: Recipe
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict[str, float])


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Positions that become known together. `grid` where the group is an image of its own (a scale)."""

    positions: Tensor
    """[n] or, where rows differ, [B, n] int: the cells of the sequence that this group decodes."""
    grid: tuple[int, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Groups in the order of decoding; together they hold each position once."""

    groups: tuple[Group, ...]

    def order(self, batch: int, length: int) -> Tensor:
        """[B, T]: the number of the group in which each position becomes known, as `Ctx.order` wants it."""
        known = torch.empty(batch, length, dtype=torch.long)
        for number, group in enumerate(self.groups):
            cells = group.positions.expand(batch, -1) if group.positions.dim() == 1 else group.positions
            known.scatter_(1, cells, number)
        return known
