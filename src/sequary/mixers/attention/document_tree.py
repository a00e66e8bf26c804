"""Attention along the tree of a document (He et al., HDT, arXiv 2407.08330): each token reads its siblings, its parent and its children.

The place of a token is its address, one number: word + w₀ · (sentence + w₁ · (section + …)) for `sizes` (w₀, w₁, …). Address 0 of a
level is its anchor: (section 2, sentence 3, word 0) stands for the sentence, (2, 0, 0) for the section, (0, 0, 0) for the document.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.local import marks
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.block_attend import Reading, merge, run_attend

BIT = 1 << 40
"""Addresses are below."""


def families(address: Tensor, sizes: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
    """For each level (takes part, group): words of one sentence and its anchor; anchors of one section's sentences and its own; …"""
    units = [math.prod(sizes[:level]) for level in range(len(sizes) + 1)]
    return [(address % units[level] == 0, address // units[level + 1]) for level in range(len(sizes))]


def tree_attend(
    q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor, families: list[tuple[Tensor, Tensor]], sizes: tuple[int, ...]
) -> Tensor:
    """[B, H, T, V]: each token over all that share one of `families`, (member [B, T], label [B, T] int) a level, of at most `sizes` tokens.

    No two tokens may share two families. 0 for a token that is in none.
    """
    own = (q_BHTK * k_BHTK).sum(-1) / math.sqrt(q_BHTK.shape[-1])
    somewhere = torch.stack([member for member, _ in families]).any(0)[:, None]
    # A token has itself in each of its families, and is to be read once: apart.
    itself = v_BHTV * somewhere[..., None], own.masked_fill(~somewhere, torch.finfo(own.dtype).min)
    levels = zip(families, sizes, strict=True)
    return merge([itself, *(_others(q_BHTK, k_BHTK, v_BHTV, *family, size) for family, size in levels)])


def _others(q: Tensor, k: Tensor, v: Tensor, member_BT: Tensor, label_BT: Tensor, size: int) -> Reading:
    """What each member reads of the others of its family; families are sorted side by side for it."""
    label, order = torch.where(member_BT, label_BT, torch.iinfo(torch.long).max).sort(dim=1, stable=True)
    q, k, v = (x.gather(2, order[:, None, :, None].expand_as(x)) for x in (q, k, v))
    seen = member_BT.gather(1, order)
    o, z = run_attend(q, k, v, width=size, run_BhT=label[:, None], real_BhT=seen[:, None], ahead=True, itself=False)
    back = order.argsort(1)[:, None]
    return o.gather(2, back[..., None].expand_as(o)), z.gather(2, back.expand_as(z))


class TreeAttention(Mixer):
    """o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over all s that share a family with t, t itself once.

    Addresses are `ctx.positions`, with at most `sizes[l]` members in a family of level l; without them tokens are counted, so that every
    `sizes[0]` of them are a sentence. Linear in the length.
    """

    tiny = {"heads": 2, "sizes": (3, 2, 2)}
    cost = 1.0

    def __init__(self, dim: int, *, heads: int = 4, sizes: tuple[int, ...] = (64, 64, 32), bias: bool = False) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads, self.sizes = heads, sizes
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.o = nn.Linear(dim, dim, bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        real, segment = marks(ctx, batch, length, x_BTD.device)
        row = BIT * (segment != segment.roll(1, 1)).long().cumsum(1)
        found = families(ctx.position_ids(batch, length, x_BTD.device), self.sizes)
        found = [(member & real, row + group) for member, group in found]
        q, k, v = self.qkv(x_BTD, None, self.heads)
        return self.o(join(tree_attend(q, k, v, found, self.sizes)))
