"""Attention to groups of similar keys (Liang et al., RITA: Group Attention is All You Need for Timeseries Analytics)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.local import marks
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.attend import attend


class GroupAttention(Mixer):
    """o_t = Σ_j e^{q_t·r_j / √K} Σ_{s in j} v_s / Σ_j c_j e^{q_t·r_j / √K}: all keys of a group j of c_j are taken for their mean r_j.

    Groups are made anew in every row and head by `rounds` of k-means from `groups` real keys evenly spaced in time; no gradient passes
    through the assignment. Exact where the keys of a group coincide; else a weight is off by a factor of at most e^{2‖q‖ρ / √K}, ρ the
    greatest distance of a key from its group's mean. A row is grouped as a whole: no segments.
    """

    tiny = {"heads": 2, "groups": 3}
    packs = False
    cost = 1.0

    def __init__(self, dim: int, *, heads: int = 4, groups: int = 16, rounds: int = 2, bias: bool = True) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads, self.groups, self.rounds = heads, groups, rounds
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.o = nn.Linear(dim, dim, bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        real, _ = marks(ctx, x_BTD.shape[0], x_BTD.shape[1], x_BTD.device)
        q, k, v = self.qkv(x_BTD, None, self.heads)
        group = kmeans(k.detach(), real, self.groups, self.rounds)
        return self.o(join(group_attend(q, k, v, group, self.groups)))


def kmeans(k_BHTK: Tensor, real_BT: Tensor, groups: int, rounds: int) -> Tensor:
    """[B, H, T]: the group of each key, `groups` for what is not real."""
    count = real_BT.sum(1, keepdim=True)
    rank = torch.arange(groups, device=k_BHTK.device) * count // groups
    order = (~real_BT).long().argsort(dim=1, stable=True)  # real ones first, in time
    first = order.gather(1, rank)[:, None, :, None]
    centre = k_BHTK.gather(2, first.expand(-1, k_BHTK.shape[1], -1, k_BHTK.shape[3]))
    group = _nearest(k_BHTK, centre, real_BT)
    for _ in range(rounds):
        mean, size = means(k_BHTK, group, groups)
        centre = torch.where(size > 0, mean, centre)
        group = _nearest(k_BHTK, centre, real_BT)
    return group


def _nearest(k_BHTK: Tensor, centre_BHNK: Tensor, real_BT: Tensor) -> Tensor:
    far = centre_BHNK.square().sum(-1)[:, :, None] - 2 * k_BHTK @ centre_BHNK.mT
    return far.argmin(-1).masked_fill(~real_BT[:, None], centre_BHNK.shape[2])


def means(x_BHTK: Tensor, group_BHT: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """([B, H, N, K], how many [B, H, N, 1]) over the tokens of each group; 0 for an empty one."""
    index = group_BHT[..., None]
    total = x_BHTK.new_zeros(*x_BHTK.shape[:2], groups + 1, x_BHTK.shape[3]).scatter_add(
        2, index.expand_as(x_BHTK), x_BHTK
    )
    one = torch.ones_like(x_BHTK[..., :1])
    size = one.new_zeros(*one.shape[:2], groups + 1, 1).scatter_add(2, index, one)
    return (total / size.clamp(min=1))[:, :, :groups], size[:, :, :groups]


def group_attend(q_BHTK: Tensor, k_BHSK: Tensor, v_BHSV: Tensor, group_BHS: Tensor, groups: int) -> Tensor:
    """[B, H, T, V]: every key is taken for the mean of its group; `groups` says that a key is none."""
    centre, size = means(k_BHSK, group_BHS, groups)
    value, _ = means(v_BHSV, group_BHS, groups)
    size = size[..., 0][:, :, None]
    return attend(
        q_BHTK, centre, value, sees=(size > 0).expand(-1, -1, q_BHTK.shape[2], -1), bias=size.clamp(min=1).log()
    )
