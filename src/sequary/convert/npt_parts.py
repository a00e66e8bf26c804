"""Parts of OATML/Non-Parametric-Transformers that its converter needs: blocks of every option, and tables with columns of their own."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.projection import QKV, join, split
from sequary.mixers.tables import BetweenRows, InsideRows


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """The source's arguments of a block, under shorter names."""

    heads: int
    eps: float
    norms: bool
    first: bool
    """Norms before, not after, attention and feed-forward."""
    mixes: bool
    own_residual: bool
    softmax: bool
    depth: int
    feeds: bool

    @staticmethod
    def of(arguments: Mapping[str, Any]) -> Settings:
        get = arguments.get
        return Settings(
            heads=get("model_num_heads", 8),
            eps=get("model_layer_norm_eps", 1e-12),
            norms=get("model_att_block_layer_norm", True),
            first=get("model_pre_layer_norm", True),
            mixes=bool(get("model_mix_heads", True)),
            own_residual=get("model_sep_res_embed", True),
            softmax=get("model_att_score_norm", "softmax") == "softmax",
            depth=get("model_rff_depth", 1),
            feeds=not get("model_ablate_rff", False),
        )

    @property
    def plain(self) -> bool:
        """Is the block the system's own, and not a variant?"""
        usual = self.norms and self.first and self.mixes and self.own_residual and self.softmax
        return usual and self.depth == 1 and self.feeds


class Block(Mixer):
    """h = r + W_o Σ_s a_ts v_s, y = h + f(h); q = W_q x; r = R x, or q. Norms before (of q's input and f's) or after both sums, or none.

    a = softmax(q·k / √D), or q·k / K without a softmax. f has `depth` hidden layers of 4 D, or is nothing but its norm.
    """

    def __init__(self, dim: int, *, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.scale = 1 / math.sqrt(dim) if settings.softmax else settings.heads / dim
        self.qkv = QKV(dim, width=dim, bias=True)
        self.o = nn.Linear(dim, dim) if settings.mixes else nn.Identity()
        self.residual = nn.Linear(dim, dim) if settings.own_residual else None
        self.norms = nn.ModuleList(
            nn.LayerNorm(dim, eps=settings.eps) if settings.norms else nn.Identity() for _ in range(2)
        )
        widths = (dim, *(4 * dim for _ in range(settings.depth)), dim)
        self.feed = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        first, second = self.norms
        q = self.qkv.q(first(x_BTD) if self.settings.first else x_BTD)
        k, v = self.qkv.k(x_BTD), self.qkv.v(x_BTD)
        h = (q if self.residual is None else self.residual(x_BTD)) + self.o(self._attended(q, k, v))
        h = h if self.settings.first else first(h)
        y = h + self._fed(second(h) if self.settings.first else h)
        return y if self.settings.first else second(y)

    def _attended(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (split(t, self.settings.heads) for t in (q, k, v))
        scores = q @ k.mT * self.scale
        return join((scores.softmax(-1) if self.settings.softmax else scores) @ v)

    def _fed(self, x: Tensor) -> Tensor:
        if not self.settings.feeds:
            return x
        for linear in self.feed[:-1]:
            x = F.gelu(linear(x))
        return self.feed[-1](x)


class Table(nn.Module):
    """Columns of any encodings, [N, H_j] each -> what is said of each, [N, O_j].

    `columns` [C, E] is the sum of what the source adds to a column, its index and its type; `eps` of the norm after that, if any.
    As the source does, rows and columns are exchanged before the answer where there are as many of both.
    """

    def __init__(
        self, dim: int, widths: Sequence[int], outputs: Sequence[int], blocks: Sequence[Part[Mixer]], eps: float | None
    ) -> None:
        super().__init__()
        count = len(widths)
        self.enter = nn.ModuleList(nn.Linear(width, dim) for width in widths)
        self.columns = nn.Parameter(torch.zeros(count, dim))
        self.norm = nn.Identity() if eps is None else nn.LayerNorm(dim, eps=eps)
        kinds = (BetweenRows, InsideRows)
        self.blocks = nn.ModuleList(
            part(kinds[n % 2], inner=block, columns=count).build(Place(dim)) for n, block in enumerate(blocks)
        )
        self.leave = nn.ModuleList(nn.Linear(dim, width) for width in outputs)

    def forward(self, columns: Sequence[Tensor]) -> list[Tensor]:
        x_NCD = self.norm(torch.stack([m(x) for m, x in zip(self.enter, columns, strict=True)], 1) + self.columns)
        cells = x_NCD.flatten(0, 1)[None]
        for block in self.blocks:
            cells = block(cells)
        x_NCD = cells[0].view_as(x_NCD)
        if x_NCD.shape[0] == x_NCD.shape[1]:
            x_NCD = x_NCD.transpose(0, 1)
        return [m(x_NCD[:, n]) for n, m in enumerate(self.leave)]
