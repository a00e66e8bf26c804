"""Encoder and decoder: one sequence is read as a whole, and another is predicted symbol by symbol (Vaswani et al., 2017)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.prenorm import PreNorm
from sequary.core.contracts import Backbone, Head, Model
from sequary.core.ctx import Ctx, Memory, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.core.values import Batch, Output
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.cross import CrossAttention
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.models.language import LanguageState
from sequary.tokens.scaled_symbols import ScaledSymbols
from sequary.tokens.symbols import Embedding

READER = part(PreNorm, parts=(part(Attention, heads=2), part(MLP)))
WRITER = part(PreNorm, parts=(part(CausalAttention, heads=2), part(CrossAttention, heads=2), part(MLP)))


def pairs(rows: int, rng: torch.Generator) -> Batch:
    """Nine symbols to read, the last two of every other row padding, and eleven to write."""
    real = torch.ones(rows, 9, dtype=torch.bool)
    real[::2, 7:] = False
    source = torch.randint(11, (rows, 9), generator=rng) * real
    return Batch(values=torch.randint(11, (rows, 11), generator=rng), source=source, source_mask=real)


class EncoderDecoder(Model):
    """`batch.source` [B, S] is encoded to a memory, from which `values` [B, T] go to hidden [B, T, D]; the head reads at t symbol t + 1.

    A memory that the batch brings is taken instead. `encoder_dim`: the encoder's width where it is another than the decoder's.
    The state holds each cross-attention's keys and values of the memory, so the encoder runs once.
    """

    tiny = {
        "source": part(Embedding, vocab=11),
        "target": part(Embedding, vocab=11),
        "encoder": part(Stack, depth=1, blocks=(READER,)),
        "decoder": part(Stack, depth=1, blocks=(WRITER,)),
        "head": part(Categorical, vocab=11),
        "encoder_dim": 12,
    }
    toy = {"batch": pairs}

    def __init__(
        self,
        dim: int,
        *,
        source: Part[Embedding | ScaledSymbols],
        target: Part[Embedding | ScaledSymbols],
        encoder: Part[Backbone],
        decoder: Part[Backbone],
        head: Part[Head],
        encoder_dim: int | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        width = dim if encoder_dim is None else encoder_dim
        self.source = source.build(here.at(dim=width))
        self.encoder = encoder.build(here.at(dim=width))
        self.target = target.build(here)
        self.decoder = decoder.build(here.at(memory_dim=width))
        if not self.decoder.causal:
            raise ValueError(f"the decoder predicts symbol by symbol, so it must be causal; {decoder} is not")
        self.heads = nn.ModuleDict({"main": head.build(here)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        if batch.segments is not None:
            raise ValueError("EncoderDecoder has one memory a row: give no segments")
        ids, ctx = batch.values, batch.ctx(tape, rng)
        ctx = dataclasses.replace(ctx, memory=self._memory(batch, tape, rng))
        x = self.target(ids, ctx.position_ids(ids.shape[0], ids.shape[1], ids.device))
        return Output(self.decoder(x, ctx)[0].x)

    def encode(self, source_BS: Tensor, ctx: Ctx = Ctx()) -> Memory:
        """The memory of raw symbols; `ctx.mask` says which are real."""
        positions = ctx.position_ids(source_BS.shape[0], source_BS.shape[1], source_BS.device)
        return Memory(self.encoder(self.source(source_BS, positions), ctx)[0].x, ctx.mask)

    def init_state(self, batch: Batch) -> LanguageState:
        """Encodes the source; only the number of rows of `batch.values` is read."""
        rows = batch.values.shape[0]
        inner = self.decoder.init_state(rows, Ctx(memory=self._memory(batch, None, None)))
        return LanguageState(inner, torch.zeros(rows, dtype=torch.long, device=batch.values.device), 0)

    def step(self, values: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Output, State]:
        assert isinstance(state, LanguageState)
        positions = ctx.position_ids(values.shape[0], values.shape[1], values.device)
        if ctx.positions is None:
            positions = positions + state.seen[:, None]
        x, inner = self.decoder.step(self.target(values, positions), state.inner, ctx)
        count = values.shape[1] if ctx.mask is None else ctx.mask.sum(1)
        return Output(x), LanguageState(inner, state.seen + count, state.steps + values.shape[1])

    def _memory(self, batch: Batch, tape: Tape | None, rng: torch.Generator | None) -> Memory:
        if batch.memory is not None:
            return batch.memory
        if batch.source is None:
            raise ValueError("EncoderDecoder needs batch.source [B, S] or batch.memory; neither was given")
        return self.encode(batch.source, Ctx(mask=batch.source_mask, tape=tape, rng=rng))
