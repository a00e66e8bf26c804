"""Branches side by side, and a bottleneck that lets through what counts: a layer without a residual.

Zhang, HyperZ·Z·W Operator Connects Slow-Fast Networks for Full Context Interaction (arXiv 2401.17948).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.norms import BatchNorm, Norm
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP


class Concatenated(Mixer):
    """y = GELU(norm(W [f_1(x); f_2(x); …; x])), f_n each of `parts`."""

    tiny = {"parts": (part(Attention, heads=2), part(MLP))}

    def __init__(
        self,
        dim: int,
        *,
        parts: tuple[Part[Mixer], ...],
        norm: Part[Norm] = part(BatchNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        inner = [p.build(here) for p in parts]
        self.parts = nn.ModuleList(inner)
        self.bottleneck, self.norm = nn.Linear((len(parts) + 1) * dim, dim), norm.build(here)
        self.causal, self.smooth = all(m.causal for m in inner), all(m.smooth for m in inner)
        self.pads, self.packs = all(m.pads for m in inner), all(m.packs for m in inner)
        self.orders = any(m.orders for m in inner)
        self.cost = max(m.cost for m in inner)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        found = [branch(x_BTD, ctx) for branch in self.parts]
        return F.gelu(self.norm(self.bottleneck(torch.cat((*found, x_BTD), -1)), ctx))
