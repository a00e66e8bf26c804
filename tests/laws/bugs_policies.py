"""Seeded bugs of orders, noises, objectives, decoders, edits and probes."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch, Edited, Group, Loss, Plan, Reading, Sample
from sequary.objectives.image_tokens import PermutedTokens
from sequary.objectives.tokens import NextToken


@dataclasses.dataclass(frozen=True)
class Raster:
    """Cells one after another: healthy."""

    def plan(self, grid: tuple[int, ...], rng: torch.Generator, progress: float = 1.0) -> Plan:
        return Plan(tuple(Group(torch.tensor([i])) for i in range(math.prod(grid))))


@dataclasses.dataclass(frozen=True)
class LastCellForgotten(Raster):
    def plan(self, grid: tuple[int, ...], rng: torch.Generator, progress: float = 1.0) -> Plan:
        return Plan(super().plan(grid, rng, progress).groups[:-1])


class CausalPlan(Plan):
    """Masks by place, whatever its groups are."""

    def order(self, batch: int, length: int) -> Tensor:
        return torch.arange(length).expand(batch, length)


@dataclasses.dataclass(frozen=True)
class MaskOfAnotherOrder:
    """Decodes in a random order, and trains on a causal mask."""

    def plan(self, grid: tuple[int, ...], rng: torch.Generator, progress: float = 1.0) -> Plan:
        cells = torch.randperm(math.prod(grid), generator=rng)
        return CausalPlan(tuple(Group(c) for c in cells.split(4)))


@dataclasses.dataclass(frozen=True)
class PlanOfTheMoment:
    """Draws from the global generator."""

    def plan(self, grid: tuple[int, ...], rng: torch.Generator, progress: float = 1.0) -> Plan:
        return Plan(tuple(Group(c) for c in torch.randperm(math.prod(grid)).split(4)))


@dataclasses.dataclass(frozen=True)
class Line:
    """x_t = (1 − t) x + t n: healthy."""

    def corrupt(self, x: Tensor, t: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        noise = torch.randn(x.shape, generator=rng, dtype=x.dtype)
        t = t.view(-1, *[1] * (x.dim() - 1)).to(x.dtype)
        return (1 - t) * x + t * noise, noise

    def steps(self, n: int) -> Tensor:
        return torch.linspace(1, 0, n + 1)


@dataclasses.dataclass(frozen=True)
class EndsHalfway(Line):
    def corrupt(self, x: Tensor, t: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        return super().corrupt(x, 0.5 * t, rng)


@dataclasses.dataclass(frozen=True)
class OneTimeForAll(Line):
    def corrupt(self, x: Tensor, t: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        return super().corrupt(x, t[:1].expand(len(t)), rng)


@dataclasses.dataclass(frozen=True)
class NeverArrives(Line):
    def steps(self, n: int) -> Tensor:
        return torch.linspace(1, 0, n + 2)[:-1]


@dataclasses.dataclass(frozen=True)
class NoiseOfTheMoment(Line):
    def corrupt(self, x: Tensor, t: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        return super().corrupt(x, t, torch.Generator().manual_seed(int(torch.randint(1 << 30, ()))))


def nats(model: Model, batch: Batch) -> Tensor:
    assert batch.target is not None
    return model.head.loss(model(batch).hidden, batch.target)


@dataclasses.dataclass(frozen=True)
class LossOfTheMoment(NextToken):
    """Drops tokens by the global generator."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        loss = nats(model, batch)
        return Loss((loss * (torch.rand(loss.shape) < 0.9)).mean())


@dataclasses.dataclass(frozen=True)
class MissingCounts(NextToken):
    """Does not look at the weights."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        return Loss(nats(model, batch).mean())


@dataclasses.dataclass(frozen=True)
class OneTokenLate(NextToken):
    """Learns to repeat the token that it has just read."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        return Loss(nats(model, dataclasses.replace(batch, target=batch.values)).mean())


@dataclasses.dataclass(frozen=True)
class ClassOfAnother(PermutedTokens):
    """Learns codes with the class of the row before."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        assert batch.cond is not None
        mixed = dataclasses.replace(batch, cond=batch.cond.roll(1, 0))
        return PermutedTokens(self.grid, self.order, self.drop, self.progress)(model, mixed, rng)


@dataclasses.dataclass(frozen=True)
class Draw:
    """One token after another, from the model's own distribution: healthy."""

    exact: ClassVar[str] = "sample"
    toy: ClassVar[Any] = {"new": 2, "exact": "sample"}
    new: int = 2

    def __call__(self, model: Model, prompt: Batch, rng: torch.Generator) -> Sample:
        tokens = prompt.values
        for _ in range(self.new):
            hidden = model(Batch(values=tokens)).hidden[:, -1:]
            tokens = torch.cat((tokens, self.pick(model.head.sample(hidden, rng), rng)), 1)
        return Sample(tokens, self.new)

    def pick(self, token: Tensor, rng: torch.Generator) -> Tensor:
        return token


@dataclasses.dataclass(frozen=True)
class DropsLastToken(Draw):
    def __call__(self, model: Model, prompt: Batch, rng: torch.Generator) -> Sample:
        made = super().__call__(model, prompt, rng)
        return Sample(made.raw[:, :-1], made.calls)


@dataclasses.dataclass(frozen=True)
class ForgetsPrompt(Draw):
    """Reads all but the last token of the prompt."""

    def __call__(self, model: Model, prompt: Batch, rng: torch.Generator) -> Sample:
        made = super().__call__(model, Batch(values=prompt.values[:, :-1]), rng)
        return Sample(torch.cat((prompt.values, made.raw[:, -self.new :]), 1), made.calls)


@dataclasses.dataclass(frozen=True)
class SampleOfTheMoment(Draw):
    def pick(self, token: Tensor, rng: torch.Generator) -> Tensor:
        return torch.where(torch.rand(token.shape) < 0.5, token, (token + 1) % 5)


@dataclasses.dataclass(frozen=True)
class CallsUncounted(Draw):
    def __call__(self, model: Model, prompt: Batch, rng: torch.Generator) -> Sample:
        return Sample(super().__call__(model, prompt, rng).raw, 1)


@dataclasses.dataclass(frozen=True)
class NotGreedy(Draw):
    """Calls a draw greedy."""

    toy: ClassVar[Any] = {"new": 2, "exact": "greedy"}


@dataclasses.dataclass(frozen=True)
class Halve:
    """Halves the head's weights: healthy."""

    def __call__(self, model: Model, recipe: Recipe, calibration: Sequence[Batch], rng: torch.Generator) -> Edited:
        made = copy.deepcopy(model)
        self.change(made, rng)
        return Edited(made, recipe, {"parameters": float(sum(p.numel() for p in made.parameters()))})

    def change(self, model: Model, rng: torch.Generator) -> None:
        weight = model.get_parameter("heads.main.out.weight")
        weight.data.mul_(0.5)


@dataclasses.dataclass(frozen=True)
class ChangesInput(Halve):
    """Edits first and copies afterwards."""

    def __call__(self, model: Model, recipe: Recipe, calibration: Sequence[Batch], rng: torch.Generator) -> Edited:
        self.change(model, rng)
        return super().__call__(model, recipe, calibration, rng)


@dataclasses.dataclass(frozen=True)
class SharesWeights(Halve):
    """The new model's table is the old one's."""

    def __call__(self, model: Model, recipe: Recipe, calibration: Sequence[Batch], rng: torch.Generator) -> Edited:
        made = super().__call__(model, recipe, calibration, rng)
        made.model.tokens.table.weight = model.tokens.table.weight  # type: ignore[union-attr]
        return made


@dataclasses.dataclass(frozen=True)
class CannotBeLoaded(Halve):
    """Cuts a layer, and gives back the old recipe."""

    def change(self, model: Model, rng: torch.Generator) -> None:
        out = model.head.out
        out.weight = torch.nn.Parameter(out.weight.data[:4])  # type: ignore[union-attr]


@dataclasses.dataclass(frozen=True)
class EditOfTheMoment(Halve):
    def change(self, model: Model, rng: torch.Generator) -> None:
        model.get_parameter("heads.main.out.weight").data.mul_(float(torch.rand(())))


@dataclasses.dataclass(frozen=True)
class SizeMisstated(Halve):
    def __call__(self, model: Model, recipe: Recipe, calibration: Sequence[Batch], rng: torch.Generator) -> Edited:
        made = super().__call__(model, recipe, calibration, rng)
        return dataclasses.replace(made, numbers={"parameters": 0.5 * made.numbers["parameters"]})


@dataclasses.dataclass(frozen=True)
class EditsNothing(Halve):
    def change(self, model: Model, rng: torch.Generator) -> None:
        return


def both_sides(model: Model, batch: Batch, reading: Reading) -> tuple[Tensor, Tensor]:
    return reading.tensors["hidden"], model(batch).hidden


@dataclasses.dataclass(frozen=True)
class ReadHidden:
    """The hidden values: healthy."""

    toy: ClassVar[Any] = {"applied": both_sides}

    def __call__(self, model: Model, batches: Sequence[Batch]) -> Reading:
        with torch.no_grad():
            return Reading({"hidden": torch.cat([model(b).hidden for b in batches])})


@dataclasses.dataclass(frozen=True)
class LeavesHook(ReadHidden):
    def __call__(self, model: Model, batches: Sequence[Batch]) -> Reading:
        model.register_forward_hook(lambda *_: None)
        return super().__call__(model, batches)


@dataclasses.dataclass(frozen=True)
class LeavesTraining(ReadHidden):
    """Switches the mode and does not switch back."""

    def __call__(self, model: Model, batches: Sequence[Batch]) -> Reading:
        return super().__call__(model.train(), batches)


@dataclasses.dataclass(frozen=True)
class ReadingOfTheMoment(ReadHidden):
    def __call__(self, model: Model, batches: Sequence[Batch]) -> Reading:
        return Reading({k: v + torch.rand(()) for k, v in super().__call__(model, batches).tensors.items()})


@dataclasses.dataclass(frozen=True)
class NotWhatIsApplied(ReadHidden):
    def __call__(self, model: Model, batches: Sequence[Batch]) -> Reading:
        return Reading({k: v * 1.01 for k, v in super().__call__(model, batches).tensors.items()})


BUGS: tuple[tuple[str, Any, str], ...] = (
    ("partition", LastCellForgotten, "15 positions in a grid of 16"),
    ("mask", MaskOfAnotherOrder, "exactly the groups"),
    ("agree", MaskOfAnotherOrder, "decoded against trained"),
    ("plan_repeats", PlanOfTheMoment, "another plan"),
    ("ends", EndsHalfway, "same noise at t = 1"),
    ("noise_rows", OneTimeForAll, "still the data"),
    ("times", NeverArrives, "goes from 1"),
    ("noise_repeats", NoiseOfTheMoment, "another noise"),
    ("value", LossOfTheMoment, "global generator"),
    ("weight", MissingCounts, "weight 0"),
    ("least", OneTokenLate, "the host scores"),
    ("least", ClassOfAnother, "on images by code the host scores"),
    ("sample", SampleOfTheMoment, "global generator"),
    ("prompt", DropsLastToken, "1 new tokens, expected 2"),
    ("calls", CallsUncounted, "says 1 calls"),
    ("exact", ForgetsPrompt, "chi-square"),
    ("exact", NotGreedy, "not the likeliest"),
    ("untouched", ChangesInput, "changes the model that came in"),
    ("untouched", SharesWeights, "changes the model that came in"),
    ("reloads", CannotBeLoaded, "cannot be loaded"),
    ("edit_repeats", EditOfTheMoment, "another model"),
    ("stated", SizeMisstated, "the new model has"),
    ("stated", EditsNothing, "is the old one"),
    ("leaves_alone", LeavesHook, "hooks"),
    ("leaves_alone", LeavesTraining, "mode"),
    ("reproducible", ReadingOfTheMoment, "differs from time to time"),
    ("applied", NotWhatIsApplied, "matrix"),
)
HEALTHY = (Raster, Line, Draw, Halve, ReadHidden)
