"""A language model: symbols, a causal backbone, one or several heads."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.backbones.stack import BLOCK, Stack
from sequary.core.contracts import Backbone, Head, Model
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.core.values import Batch, Output
from sequary.heads.categorical import Categorical
from sequary.tokens.symbols import Embedding


@dataclasses.dataclass(frozen=True, slots=True)
class LanguageState(State):
    """The backbone's state after `steps` positions, of which `seen` [B] were real tokens in each row."""

    inner: State
    seen: Tensor
    steps: int

    def can_rewind(self) -> bool:
        return self.inner.can_rewind()

    def rewind(self, length: int) -> LanguageState:
        """What is taken back must be real tokens; padding stands before them."""
        return LanguageState(self.inner.rewind(length), self.seen - (self.steps - length), length)


class LanguageModel(Model):
    """[B, T] tokens -> hidden [B, T, D], whose heads read at t the tokens that follow t: "main" t+1, `ahead[i]` t+2+i."""

    tiny = {
        "tokens": part(Embedding, vocab=11),
        "backbone": part(Stack, depth=2, blocks=(BLOCK,)),
        "head": part(Categorical, vocab=11),
    }

    def __init__(
        self,
        dim: int,
        *,
        tokens: Part[Embedding],
        backbone: Part[Backbone],
        head: Part[Head],
        ahead: tuple[Part[Head], ...] = (),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.tokens = tokens.build(here)
        self.backbone = backbone.build(here)
        if not self.backbone.causal:
            raise ValueError(f"a language model needs a causal backbone; {backbone} is not")
        named = {"main": head, **{f"ahead{i + 1}": h for i, h in enumerate(ahead)}}
        self.heads = nn.ModuleDict({name: h.build(here) for name, h in named.items()})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        ctx = batch.ctx(tape, rng)
        x = self.tokens(
            batch.values, ctx.position_ids(batch.values.shape[0], batch.values.shape[1], batch.values.device)
        )
        return Output(self.backbone(x, ctx)[0].x)

    def init_state(self, batch: Batch) -> LanguageState:
        rows = batch.values.shape[0]
        seen = torch.zeros(rows, dtype=torch.long, device=batch.values.device)
        return LanguageState(self.backbone.init_state(rows, batch.ctx()), seen, 0)

    def step(self, values: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Output, State]:
        assert isinstance(state, LanguageState)
        count = values.shape[1] if ctx.mask is None else ctx.mask.sum(1)
        positions = ctx.position_ids(values.shape[0], values.shape[1], values.device)
        if ctx.positions is None:
            positions = positions + state.seen[:, None]
        x, inner = self.backbone.step(self.tokens(values, positions), state.inner, ctx)
        return Output(x), LanguageState(inner, state.seen + count, state.steps + values.shape[1])
