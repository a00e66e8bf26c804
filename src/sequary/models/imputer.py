"""SAITS: two blocks of self-attention estimate what is missing, and a third estimate weighs the two (arXiv 2202.08516)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.contracts import Backbone, Model
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.heads.estimates import Estimates
from sequary.mixers.attention.diagonal import DiagonalAttention
from sequary.mixers.mlp.dense import MLP
from sequary.ops.dropout import Dropout
from sequary.tokens.positions import SinePositions

TINY = part(
    Stack,
    depth=1,
    blocks=(part(PreNorm, parts=(part(DiagonalAttention, heads=2), part(MLP)), norm=part(LayerNorm)),),
)


class BlendedImputer(Model):
    """values [B, T, C], 0 where not `observed` [B, T, C] -> hidden [B, T, C]: an estimate of every entry, observed or not.

    m = observed as numbers. x1 = W_z first([x, m] W_1 + p); x̂ = m x + (1 − m) x1; x2 = W_γ relu(W_β second([x̂, m] W_2 + p));
    η = σ(W_η [m, Ā]), Ā [T, T] the last attention of `second`, mean over heads; x3 = (1 − η) x2 + η x1. Attention never
    reads a mask of steps. T = `length`, since W_η reads a row of Ā. Extra: "first" = x1, "second" = x2.
    `sees_missing=False` leaves m out of the inputs of both blocks.
    """

    tiny = {"channels": 2, "length": 16, "first": TINY, "second": TINY}

    def __init__(
        self,
        dim: int,
        *,
        channels: int,
        length: int,
        first: Part[Backbone],
        second: Part[Backbone],
        sees_missing: bool = True,
        dropout: float = 0.0,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here, inputs = Place.here(place, dim), 2 * channels if sees_missing else channels
        self.length, self.sees_missing = length, sees_missing
        self.positions, self.dropout = SinePositions(dim), Dropout(dropout)
        self.embed_first, self.embed_second = nn.Linear(inputs, dim), nn.Linear(inputs, dim)
        self.first, self.second = first.build(here), second.build(here)
        self.out_first = nn.Linear(dim, channels)
        self.out_second = nn.Sequential(nn.Linear(dim, channels), nn.ReLU(), nn.Linear(channels, channels))
        self.blend = nn.Linear(channels + length, channels)
        self.heads = nn.ModuleDict({"main": Estimates(dim)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        x = batch.values
        if x.shape[1] != self.length:
            raise ValueError(f"built for windows of length={self.length}, got {x.shape[1]} steps")
        m = torch.ones_like(x) if batch.observed is None else batch.observed.to(x.dtype)
        first, maps = self._estimate(self.embed_first, self.first, x, m, rng)
        x1 = self.out_first(first)
        second, later = self._estimate(self.embed_second, self.second, m * x + (1 - m) * x1, m, rng)
        x2 = self.out_second(second)
        weight = self.blend(torch.cat((m, later[-1].mean(1)), -1)).sigmoid()
        for a_BHTT in (*maps, *later):
            Ctx(tape=tape).tell("attention", lambda a=a_BHTT: a)
        return Output((1 - weight) * x2 + weight * x1, extra={"first": x1, "second": x2})

    def filled(self, batch: Batch) -> Tensor:
        """[B, T, C]: what was observed as it is, and the third estimate elsewhere."""
        estimate = self.head.mean(self(batch).hidden)
        if batch.observed is None:
            return batch.values
        m = batch.observed.to(estimate.dtype)
        return m * batch.values + (1 - m) * estimate

    def _estimate(
        self, embed: nn.Linear, backbone: nn.Module, x: Tensor, m: Tensor, rng: torch.Generator | None
    ) -> tuple[Tensor, list[Tensor]]:
        """[B, T, D], and the attention of each layer: the blend needs the last whether or not anyone else listens."""
        listens = Tape("attention")
        inputs = torch.cat((x, m), -1) if self.sees_missing else x
        z = self.dropout(self.positions(embed(inputs)))
        return backbone(z, Ctx(tape=listens, rng=rng))[0].x, listens.entries["attention"]
