"""RAR's prior: codes of an image in any order, each token told which position comes next (arXiv 2411.00776, section 3.2)."""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.adaln import AdaLN, AdaNorm
from sequary.core.contracts import Backbone, Head, Mixer
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.core.values import Batch, Output
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.normed import NormedAttention
from sequary.mixers.attention.query_key import Normed
from sequary.mixers.mlp.dense import MLP
from sequary.models.prior import Prior, class_table, places

BLOCK = part(AdaLN, parts=(part(NormedAttention, heads=2, normal=part(Normed)), part(MLP)))
PREFIX = 2
"""A learnt first token, and the class."""


@dataclasses.dataclass(frozen=True, slots=True)
class PermutedState(State):
    """The backbone's state after `count` codes (−1: after nothing), the classes [B], and the order of decoding [B, T]."""

    inner: State
    classes: Tensor
    order: Tensor
    count: int


def drawn(rows: int, rng: torch.Generator) -> Batch:
    """Codes and classes of the tiny model's sizes."""
    return Batch(values=torch.randint(11, (rows, 4), generator=rng), cond=torch.randint(4, (rows,), generator=rng))


class PermutedCodes(Prior):
    """[B, T] codes in raster order -> hidden [B, T, D]; with `batch.order` (when each becomes known) t sees what is earlier in it.

    Slots: a learnt token, the class, then the codes π_0, π_1 …; slot 1 + j predicts the code of cell π_j, and is told so:
    x = e(code) + place[own cell] + target[π_j]. Adaptive norms read class + a vector of the slot. Without an order: raster.
    A step takes the next codes in that order (none in the first: [B, 0]).
    """

    toy = {"batch": drawn, "splits": ((0, 1, 1, 1), (1, 2), (3,))}
    tiny = {
        "classes": 3,
        "vocab": 11,
        "cells": 4,
        "backbone": part(Stack, depth=1, blocks=(BLOCK,)),
        "head": part(Categorical, vocab=11, bias=True),
    }

    def __init__(
        self,
        dim: int,
        *,
        classes: int,
        vocab: int,
        cells: int,
        backbone: Part[Backbone],
        head: Part[Head],
        norm: Part[Mixer] = part(AdaNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.classes, self.cells = classes, cells
        self.codes = nn.Embedding(vocab, dim)
        nn.init.normal_(self.codes.weight, std=0.02)
        self.classes_table = class_table(classes, dim)
        self.start = places(dim)
        self.places, self.slots = places(PREFIX + cells, dim), places(PREFIX + cells, dim)
        self.targets = places(cells, dim)
        self.backbone, self.norm = backbone.build(here), norm.build(here)
        self.heads = nn.ModuleDict({"main": head.build(here)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        rows, length = batch.values.shape
        if length != self.cells:
            raise ValueError(f"{length} codes, but the model is built for cells={self.cells}")
        known = batch.order
        order = self._raster(rows, batch.values.device) if known is None else known.argsort(1)
        hidden = self.sequence(batch.values.gather(1, order[:, :-1]), self.condition(batch), order, tape, rng)
        return Output(hidden if known is None else hidden.gather(1, known[..., None].expand_as(hidden)))

    def sequence(
        self,
        codes_Bn: Tensor,
        classes_B: Tensor,
        order_BT: Tensor,
        tape: Tape | None = None,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """[B, n + 1, D] in the order of decoding: after the class, and after each of the first n codes."""
        x, cond = self.embed(codes_Bn, classes_B, order_BT, -1)
        ctx = Ctx(cond=cond, tape=tape, rng=rng)
        return self.norm(self.backbone(x, ctx)[0].x, ctx)[:, PREFIX - 1 :]

    def embed(self, codes_Bn: Tensor, classes_B: Tensor, order_BT: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Inputs and conditions of the slots of the n codes after the first `count` of the order; at −1 of the two slots before too."""
        label = self.classes_table(classes_B)
        told = torch.cat((self.targets[order_BT], self.targets.new_zeros(len(label), 1, label.shape[-1])), 1)
        begin = max(count, 0)
        stop = begin + codes_Bn.shape[1]
        own = self.places[PREFIX + order_BT[:, begin:stop]]
        x = self.codes(codes_Bn) + own + told[:, begin + 1 : stop + 1]
        if count < 0:
            start = (self.start + self.places[0]).expand_as(label)
            x = torch.cat((start[:, None], (label + self.places[1] + told[:, 0])[:, None], x), 1)
        first = 0 if count < 0 else PREFIX + begin
        return x, label[:, None] + self.slots[first : PREFIX + stop]

    def init_state(self, batch: Batch) -> PermutedState:
        rows = batch.values.shape[0]
        order = self._raster(rows, batch.values.device) if batch.order is None else batch.order.argsort(1)
        return PermutedState(self.backbone.init_state(rows), self.condition(batch), order, -1)

    def step(self, values: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Output, State]:
        """[B, n + 1, D] at first, after the class and each of n codes; then [B, n, D]."""
        assert isinstance(state, PermutedState)
        x, cond = self.embed(values, state.classes, state.order, state.count)
        ctx = Ctx(cond=cond, tape=ctx.tape, rng=ctx.rng)
        x, inner = self.backbone.step(x, state.inner, ctx)
        hidden = self.norm(x, ctx)[:, PREFIX - 1 :] if state.count < 0 else self.norm(x, ctx)
        count = max(state.count, 0) + values.shape[1]
        return Output(hidden), PermutedState(inner, state.classes, state.order, count)

    @torch.no_grad()
    def merged(self) -> PermutedCodes:
        """A copy for raster order alone: the next cell is then known from one's own, and `targets` moves into `places`."""
        made = copy.deepcopy(self)
        made.places[PREFIX - 1 : -1] += made.targets
        made.targets.zero_()
        return made

    def _raster(self, rows: int, device: torch.device) -> Tensor:
        return torch.arange(self.cells, device=device).expand(rows, -1)
