"""A model that makes images in two stages: a tokenizer, and a prior over its tokens."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.core.values import Batch, Output
from sequary.models.permuted import PermutedCodes
from sequary.models.prior import Prior
from sequary.tokens.images import ImageTokenizer
from sequary.tokens.vq import VQ


def tokens_read(model: Model, batch: Batch) -> Batch:
    """For the laws: what the prior reads of images."""
    tokenizer = tokenized(model).tokenizer
    return dataclasses.replace(batch, values=tokenizer.inputs(tokenizer.encode(batch.values)))


class Tokenized(Model):
    """values: images [B, C, H, W], or what the prior reads of their tokens -> the prior's hidden vectors."""

    exempt = {
        "gradients": "hidden = prior(sg(encode(x))): the tokenizer learns by a loss of its own, `tokenizer.learn`"
    }
    toy = {"read": tokens_read, "splits": PermutedCodes.toy["splits"]}
    tiny = {"tokenizer": part(VQ, **VQ.tiny), "prior": part(PermutedCodes, **PermutedCodes.tiny)}

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
