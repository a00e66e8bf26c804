"""MAR's prior: an encoder over the tokens that are known, a decoder over all cells (arXiv 2406.11838, sections 3.4 and 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.contracts import Backbone, Head
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.heads.diffusion import Diffusion
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.models.prior import Prior, class_table, places
from sequary.noise.gaussian import Gaussian, LinearBetas

NORM = part(LayerNorm, eps=1e-6)
BLOCK = part(PreNorm, parts=(part(Attention, heads=2), part(MLP)), norm=NORM)


def drawn(rows: int, rng: torch.Generator) -> Batch:
    """Latents, which are known, and classes of the tiny model's sizes."""
    known = torch.rand(rows, 4, generator=rng) < 0.5
    return Batch(
        values=torch.randn(rows, 4, 4, generator=rng), observed=known, cond=torch.randint(4, (rows,), generator=rng)
    )


class MaskedLatents(Prior):
    """[B, T, channels] latents, `batch.observed` [B, T] = known -> z [B, T, D], one vector a cell for the head to predict from.

    Encoder: `buffer` copies of the class's vector, then the known tokens alone, embedded with positions and normalised. Decoder: their
    vectors in place, a mask vector in the other cells, positions of its own. z = decoder + a third table of positions. Unknown
    latents are never read.
    """

    toy = {"batch": drawn}
    exempt = {
        "device": 'the encoder reads n = max_b Σ_t known[b, t] tokens: its shape depends on data, which "meta" has not'
    }
    tiny = {
        "classes": 3,
        "channels": 4,
        "cells": 4,
        "buffer": 2,
        "encoder": part(Stack, depth=1, blocks=(BLOCK,), norm=NORM),
        "decoder": part(Stack, depth=1, blocks=(BLOCK,), norm=NORM),
        "head": part(Diffusion, channels=4, width=32, depth=1, noise=Gaussian(100, LinearBetas()), calls=10),
    }

    def __init__(
        self,
        dim: int,
        *,
        classes: int,
        channels: int,
        cells: int,
        encoder: Part[Backbone],
        decoder: Part[Backbone],
        head: Part[Head],
        buffer: int = 64,
        decoder_dim: int | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        wide = dim if decoder_dim is None else decoder_dim
        self.classes, self.cells, self.buffer = classes, cells, buffer
        self.classes_table = class_table(classes, dim)
        self.embed, self.norm = nn.Linear(channels, dim), nn.LayerNorm(dim, eps=1e-6)
        self.bridge = nn.Linear(dim, wide)
        self.blank = places(wide)
        self.encoder_places = places(buffer + cells, dim)
        self.decoder_places, self.places = places(buffer + cells, wide), places(cells, wide)
        self.encoder, self.decoder = encoder.build(here), decoder.build(here.at(dim=wide))
        self.heads = nn.ModuleDict({"main": head.build(here.at(dim=wide))})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        rows, length, _ = batch.values.shape
        if length != self.cells:
            raise ValueError(f"{length} latents, but the model is built for cells={self.cells}")
        known = batch.token_mask
        if known is None:
            known = torch.ones(rows, length, dtype=torch.bool, device=batch.values.device)
        encoded, cells, real = self.encoded(batch.values, known, self.condition(batch), tape, rng)
        return Output(self.decoded(encoded, cells, real, tape, rng), extra={"encoded": encoded})

    def encoded(
        self, x_BTC: Tensor, known_BT: Tensor, classes_B: Tensor, tape: Tape | None, rng: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """[B, buffer + n, D] of the n cells that are known (rows that know fewer are padded), these cells [B, n], which are real."""
        count = known_BT.sum(1)
        cells = (~known_BT).long().argsort(dim=1, stable=True)[:, : int(count.max())]
        real = torch.arange(cells.shape[1], device=cells.device) < count[:, None]
        label = self.classes_table(classes_B)[:, None].expand(-1, self.buffer, -1)
        x = x_BTC.gather(1, cells[..., None].expand(-1, -1, x_BTC.shape[-1]))
        x = torch.cat(
            (label + self.encoder_places[: self.buffer], self.embed(x) + self.encoder_places[self.buffer + cells]), 1
        )
        mask = None if bool(real.all()) else torch.cat((real.new_ones(len(real), self.buffer), real), 1)
        return self.encoder(self.norm(x), Ctx(mask=mask, tape=tape, rng=rng))[0].x, cells, real

    def decoded(
        self, encoded: Tensor, cells: Tensor, real: Tensor, tape: Tape | None, rng: torch.Generator | None
    ) -> Tensor:
        """[B, T, D]."""
        y = self.bridge(encoded)
        index = torch.where(real, cells, self.cells)[..., None].expand(-1, -1, y.shape[-1])  # padding: a cell too many
        spare = self.blank.to(y.dtype).expand(len(y), self.cells + 1, -1)
        whole = spare.scatter(1, index, y[:, self.buffer :])[:, : self.cells]
        x = torch.cat((y[:, : self.buffer], whole), 1) + self.decoder_places
        return self.decoder(x, Ctx(tape=tape, rng=rng))[0].x[:, self.buffer :] + self.places
