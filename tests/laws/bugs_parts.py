"""Seeded bugs of tokens, heads and models."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from sequary.core.contracts import Head, Tokens
from sequary.core.ctx import Ctx, Tape
from sequary.core.state import State
from sequary.core.values import Batch, Output, Scale
from sequary.heads.categorical import Categorical
from sequary.models.language import LanguageModel
from sequary.models.next_scale import NextScale, ScaleState
from sequary.models.permuted import PermutedCodes, PermutedState
from sequary.models.tokenized import Tokenized
from sequary.tokens.series import ChannelPatches, InstanceNorm, Windows


class NotTheInverse(Tokens):
    """Decodes by another scale than it encodes by."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def encode(self, values: Tensor) -> Tensor:
        return values * 3

    def decode(self, tokens: Tensor) -> Tensor:
        return tokens * 0.3333


class ScaledTwice(InstanceNorm):
    """Says the variance where it should say the deviation."""

    def forward(self, values_BLC: Tensor, observed_BLC: Tensor | None) -> tuple[Tensor, Scale]:
        x, scale = super().forward(values_BLC, observed_BLC)
        return x, Scale(scale.shift, scale.size.square())


class ReadsMissing(Windows):
    """The mean over all steps, missing ones too."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, values_BLC: Tensor, observed_BLC: Tensor | None) -> tuple[Tensor, Scale]:
        mean = values_BLC.mean(1, keepdim=True)
        x = values_BLC - mean
        return x if observed_BLC is None else x * observed_BLC, Scale(mean, torch.ones_like(mean))


class ScaledByBatch(Windows):
    """One mean for the whole batch."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, values_BLC: Tensor, observed_BLC: Tensor | None) -> tuple[Tensor, Scale]:
        mean = values_BLC.mean((0, 1), keepdim=True).expand(values_BLC.shape[0], -1, -1)
        return values_BLC - mean, Scale(mean, torch.ones_like(mean))


class RowsExchanged(ChannelPatches):
    """Folds rows outside, unfolds channels outside."""

    def unfold(self, x: Tensor, batch: Batch) -> Tensor:
        return rearrange(x, "(c b) n d -> b c n d", b=batch.values.shape[0])


class Reduced(Categorical):
    """A mean instead of one loss for each token."""

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return super().loss(hidden, target, rng).mean()


class RowsShareLoss(Categorical):
    """Weighs each row by the batch's targets."""

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return super().loss(hidden, target, rng) * (1 + target.double().mean())


class Points(Head):
    """Squared error of one number: healthy."""

    degree = 2

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out = nn.Linear(dim, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(hidden)[..., 0]

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return (self(hidden) - target).square()

    def mean(self, hidden: Tensor) -> Tensor:
        return self(hidden)


class LeastElsewhere(Points):
    """A relative error, which is least below the mean."""

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return (self(hidden) / target.abs().clamp(min=0.1) - target.sign()).square()


class SymbolsShifted(Categorical):
    """Scores the symbol before the one that came."""

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        logits = self(hidden).roll(1, -1).flatten(0, -2)
        return F.cross_entropy(logits, target.flatten(), reduction="none", label_smoothing=0.3).view(target.shape)


class SamplesTooBold(Categorical):
    """Draws at half the temperature."""

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        return super().sample(hidden, rng, 0.5 * temperature)


class SamplesGlobally(Categorical):
    """Does not look at the generator."""

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        chance = self(hidden).softmax(-1)
        return torch.multinomial(chance.flatten(0, -2), 1).view(chance.shape[:-1])


class WrongDegree(Points):
    """Calls a squared error absolute."""

    degree = 1


class ModelMixesRows(LanguageModel):
    """Centres hidden values by the batch."""

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        hidden = super().forward(batch, tape, rng).hidden
        return Output(hidden - hidden.mean(0, keepdim=True))


class ReadsTarget(LanguageModel):
    """The answer is in the hidden values."""

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        hidden = super().forward(batch, tape, rng).hidden
        if batch.target is None:
            return Output(hidden)
        return Output(hidden + 10 * F.one_hot(batch.target, hidden.shape[-1]).to(hidden.dtype))


class PositionForgotten(LanguageModel):
    """Each step counts from 0 again."""

    def step(self, values: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Output, State]:
        return super().step(values, self.init_state(Batch(values=values)), ctx)


class NoMainHead(LanguageModel):
    """Calls its head otherwise."""

    def __init__(self, dim: int, *, tokens: Any, backbone: Any, head: Any) -> None:
        super().__init__(dim, tokens=tokens, backbone=backbone, head=head)
        self.heads = nn.ModuleDict({"first": self.head})


class ScaleForgotten(NextScale):
    """Each scale is read as though nothing came before it."""

    def step(self, values: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Output, State]:
        assert isinstance(state, ScaleState)
        empty = self.backbone.init_state(len(values))
        return super().step(values, dataclasses.replace(state, inner=empty), ctx)


class ClassForgotten(PermutedCodes):
    """Steps read the class at first and never again."""

    def step(self, values: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Output, State]:
        output, after = super().step(values, state, ctx)
        assert isinstance(after, PermutedState)
        return output, dataclasses.replace(after, classes=torch.zeros_like(after.classes))


class OneStep(ClassForgotten):
    """Declares a way of stepping in which no state is ever read."""

    toy = {**PermutedCodes.toy, "splits": ((3,),)}


class LastCodeUnread(PermutedCodes):
    """Its steps end early."""

    toy = {**PermutedCodes.toy, "splits": ((1, 1),)}


class OtherTokens(Tokenized):
    """Reads the images mirrored."""

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        values = batch.values.flip(-1) if batch.values.dim() == 4 else batch.values
        return super().forward(dataclasses.replace(batch, values=values), tape, rng)


BUGS: tuple[tuple[str, Any, str], ...] = (
    ("inverse", NotTheInverse, "decode(encode(x))"),
    ("scale", ScaledTwice, "scaled and back"),
    ("missing", ReadsMissing, "missing places"),
    ("rows", ScaledByBatch, "when row 1 changes"),
    ("folds", RowsExchanged, "when row 1 changes"),
    ("loss", Reduced, "do not reduce it"),
    ("loss", RowsShareLoss, "target of row 1"),
    ("truth", LeastElsewhere, "its mean is"),
    ("truth", SymbolsShifted, "a symbol is drawn"),
    ("density", SamplesTooBold, "chi-square"),
    ("draws", SamplesGlobally, "global generator"),
    ("degree", WrongDegree, "data times 3"),
    ("rows", ModelMixesRows, "alone"),
    ("target_unread", ReadsTarget, "without a target"),
    ("model_steps", PositionForgotten, "against forward"),
    ("model_steps", ScaleForgotten, "against forward"),
    ("model_steps", ClassForgotten, "against forward"),
    ("model_steps", OneStep, "none of them takes two steps"),
    ("model_steps", LastCodeUnread, "steps of (1, 1) give"),
    ("model_steps", OtherTokens, "against forward"),
    ("heads", NoMainHead, "main"),
)
