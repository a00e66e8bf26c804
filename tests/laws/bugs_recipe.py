"""Seeded bugs of system files."""

from __future__ import annotations

import dataclasses
import types
from typing import Any

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.catalogue import System
from sequary.core.contracts import Model
from sequary.core.ctx import Tape
from sequary.core.part import part
from sequary.core.recipe import Recipe, Stage
from sequary.core.values import Batch, Loss, Output
from sequary.laws.members import Subject
from sequary.laws.run import of_system
from sequary.models.language import LanguageModel
from sequary.models.permuted import PermutedCodes
from sequary.models.tokenized import Tokenized
from sequary.objectives.image_tokens import PermutedTokens, Reconstruct
from sequary.objectives.tokens import NextToken
from sequary.tokens.vq import VQ
from tests.laws.bugs_parts import ReadsTarget

BLOCK = Stack.tiny["blocks"]
GPT = language_model(dim=64, depth=4, blocks=BLOCK, tiny=(("dim", 16), ("model__backbone__depth", 1)))


def system(recipe: Recipe, *, card: Card | None = None, claim: bool = True, words: str = "idea " * 12) -> Subject:
    """A system file with nothing wrong but what the arguments say."""
    module = types.ModuleType("sequary.systems.text.seeded", words)
    why = Claim("it is better", experiment="recall") if claim else None
    about = card or Card(id="seeded", title="Seeded", kind="mixer")
    return of_system(System("seeded", about, recipe, why, module, {}, {}))


def with_model(cls: type[LanguageModel]) -> Recipe:
    return GPT.but(model=part(cls, **dict(GPT.model.kw)))


def codes_by(cls: type[PermutedCodes], *, learns: str = "prior") -> Recipe:
    """A tokenizer, and then a prior of this class, of which the second stage trains `learns`."""
    tokenizer, prior = part(VQ, **VQ.tiny), part(cls, **PermutedCodes.tiny)
    stages = (
        Stage(objective=Reconstruct(), learns="tokenizer"),
        Stage(objective=PermutedTokens(grid=(2, 2)), learns=learns),
    )
    return Recipe(dim=16, model=part(Tokenized, tokenizer=tokenizer, prior=prior), stages=stages)


class DeadWeight(LanguageModel):
    """Has a weight that nothing reads."""

    def __init__(self, dim: int, *, tokens: Any, backbone: Any, head: Any) -> None:
        super().__init__(dim, tokens=tokens, backbone=backbone, head=head)
        self.unused = nn.Parameter(torch.ones(dim))


class Blind(LanguageModel):
    """Sees an empty sequence."""

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        return super().forward(dataclasses.replace(batch, values=torch.zeros_like(batch.values)), tape, rng)


class Peeks(ReadsTarget):
    """Beats any floor, since it is told the answer; in the width of the tiny recipe, 16."""


class Classless(PermutedCodes):
    """Makes the same images for every class."""

    def condition(self, batch: Batch) -> Tensor:
        return super().condition(dataclasses.replace(batch, cond=None))


@dataclasses.dataclass(frozen=True)
class Outside(NextToken):
    """An objective that lives outside of sequary."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        return super().__call__(model, batch, rng)


BUGS: tuple[tuple[str, Subject, str], ...] = (
    ("builds", system(GPT.but(tiny=(("dim", 15),))), "does not divide"),
    ("json", system(GPT.but(stages=(Stage(objective=Outside()),))), "outside sequary"),
    ("learns", system(with_model(DeadWeight)), "never learns: unused"),
    ("beats_floor", system(with_model(Blind)), "the floor is"),
    ("beats_floor", system(with_model(Peeks)), "permuted targets too"),
    ("beats_floor", system(codes_by(Classless)), "on images by code"),
    ("learns", system(codes_by(PermutedCodes, learns="prior.backbone")), "never learns: prior.start"),
    (
        "parameters",
        system(
            GPT.bind({"vocab": 100}), card=Card(id="seeded", title="T", kind="mixer", params={"1m": (1e6, "Table 1")})
        ),
        "the paper prints",
    ),
    ("card", system(GPT, claim=False), "no CLAIM"),
    ("card", system(GPT, words=""), "no module docstring"),
    ("card", system(GPT, card=Card(id="seeded", title="", kind="mixer")), "no title"),
)
HEALTHY = system(GPT)
