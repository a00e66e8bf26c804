"""A model that makes images in two stages: a tokenizer, and a prior over its tokens."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.core.values import Batch, Output
from sequary.tokens.images import ImageTokenizer


class Prior(Model):
    """values = what the tokenizer's `inputs` gives -> hidden [B, T, D], whose head reads at t the token *at* t.

    `batch.cond` [B] holds classes 0 … `classes` − 1; `classes` itself means none, and so does no `cond`.
    """

    classes: int

    def condition(self, batch: Batch) -> Tensor:
        """[B] classes."""
        if batch.cond is not None:
            return batch.cond
        return torch.full((batch.values.shape[0],), self.classes, device=batch.values.device)


class Tokenized(Model):
    """values: images [B, C, H, W], or what the prior reads of their tokens -> the prior's hidden vectors."""

    def __init__(
        self, dim: int, *, tokenizer: Part[ImageTokenizer], prior: Part[Prior], place: Place | None = None
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.tokenizer = tokenizer.build(here)
        self.prior = prior.build(here)

    @property
    def heads(self) -> nn.ModuleDict:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The prior's, so that a stage that learns "prior" learns them too."""
        return self.prior.heads

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        values = batch.values
        if values.dim() == 4:
            with torch.no_grad():
                values = self.tokenizer.inputs(self.tokenizer.encode(values))
        return self.prior(dataclasses.replace(batch, values=values), tape, rng)

    def init_state(self, batch: Batch) -> State:
        return self.prior.init_state(batch)

    def step(self, values: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Output, State]:
        return self.prior.step(values, state, ctx)


def tokenized(model: Model) -> Tokenized:
    """`model`, where a policy needs a tokenizer."""
    if not isinstance(model, Tokenized):
        raise TypeError(f"{type(model).__name__} has no tokenizer and prior; this wants models.tokenized:Tokenized")
    return model


def class_table(classes: int, dim: int) -> nn.Embedding:
    """One vector for each class, and a last one for none."""
    table = nn.Embedding(classes + 1, dim)
    nn.init.normal_(table.weight, std=0.02)
    return table


def places(*shape: int) -> nn.Parameter:
    """Learnt positions."""
    return nn.Parameter(torch.randn(*shape) * 0.02)
