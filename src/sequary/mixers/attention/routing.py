"""Attention inside clusters of similar tokens (Roy et al., Routing Transformer, arXiv 2003.05997, section 4 and algorithm 1).

Queries and keys are layer-normalised without weights and compared with C centroids a head, which are no parameters: while
training they follow, as a moving average, the means of the vectors that are nearest to them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.local import marks
from sequary.mixers.attention.projection import check_heads, join, split
from sequary.ops.block_attend import block_attend


class Centroids(nn.Module):
    """`means` [H, C, K] of length √K, as the normalised vectors have. Similarity is the dot product."""

    means: Tensor

    def __init__(self, heads: int, clusters: int, width: int, *, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("means", self._long(torch.randn(heads, clusters, width)))

    def forward(self, x_BHTK: Tensor, real_BT: Tensor) -> Tensor:
        """[B, H, T, C]; in training the centroids move on afterwards."""
        similar = x_BHTK @ self.means.transpose(-1, -2).to(x_BHTK.dtype)
        if self.training:
            self._follow(x_BHTK.detach(), similar.detach(), real_BT)
        return similar

    @torch.no_grad()
    def _follow(self, x_BHTK: Tensor, similar_BHTC: Tensor, real_BT: Tensor) -> None:
        nearest = F.one_hot(similar_BHTC.argmax(-1), similar_BHTC.shape[-1]) * real_BT[:, None, :, None]
        sums = torch.einsum("bhtc,bhtk->hck", nearest.to(x_BHTK.dtype), x_BHTK)
        moved = self.decay * self.means + (1 - self.decay) * self._long(sums).to(self.means.dtype)
        used = nearest.sum((0, 2))[..., None] > 0
        self.means.copy_(torch.where(used, self._long(moved), self.means))

    @staticmethod
    def _long(x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1) * x.shape[-1] ** 0.5


class RoutingAttention(Mixer):
    """Each of C centroids takes the `window` tokens whose queries, and those whose keys, are most similar to it; these attend to those.

    o_t is the mean over the clusters that took query t, 0 where none did. The clusters of a row are chosen from the whole of it. For n
    tokens the paper has n / window clusters, which costs n²/window + n·window, least at window = √n; `clusters` is fixed here.
    """

    tiny = {"heads": 2, "clusters": 3, "window": 4}
    packs = False
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        clusters: int = 8,
        window: int = 32,
        width: int | None = None,
        decay: float = 0.999,
    ) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        width = check_heads(dim, heads) if width is None else width
        self.q, self.k, self.v = (nn.Linear(dim, heads * width, bias=False) for _ in range(3))
        self.centroids = Centroids(heads, clusters, width, decay=decay)
        self.o = nn.Linear(heads * width, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        real, _ = marks(ctx, x_BTD.shape[0], x_BTD.shape[1], x_BTD.device)
        q, k, v = (split(p(x_BTD), self.heads) for p in (self.q, self.k, self.v))
        q, k = normed(q), normed(k)
        both = self.centroids(torch.cat((q, k), 2), real.repeat(1, 2))
        queries, asking = nearest(both[:, :, : x_BTD.shape[1]], real, self.window)
        keys, asked = nearest(both[:, :, x_BTD.shape[1] :], real, self.window)
        o, _ = block_attend(q, k, v, queries, keys, sees_BHGMN=asking[..., None] & asked[..., None, :])
        return self.o(join(averaged(o, queries, asking, x_BTD.shape[1])))


def normed(x_BHTK: Tensor) -> Tensor:
    """A layer norm without weights: all vectors get the same length, so the nearest centroid is the most similar one."""
    return F.layer_norm(x_BHTK, x_BHTK.shape[-1:])


def nearest(similar_BHTC: Tensor, real_BT: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """[B, H, C, window]: the real tokens of a row that are most similar to each centroid, and whether there are as many."""
    least = torch.finfo(similar_BHTC.dtype).min
    ranked = similar_BHTC.masked_fill(~real_BT[:, None, :, None], least).transpose(-1, -2)
    ranked = F.pad(ranked, (0, window), value=least)  # fillers, so that a short row has enough
    index = ranked.argsort(dim=-1, descending=True, stable=True)[..., :window]
    there = F.pad(real_BT, (0, window))[:, None, None].expand_as(ranked).gather(-1, index)
    return index.clamp(max=real_BT.shape[1] - 1), there


def averaged(o_BHGMV: Tensor, queries_BHGM: Tensor, there_BHGM: Tensor, length: int) -> Tensor:
    """[B, H, T, V]: for each query the mean over the blocks in which it is there; 0 without one."""
    index, there = queries_BHGM.flatten(2)[..., None], there_BHGM.flatten(2)[..., None].to(o_BHGMV.dtype)
    o = o_BHGMV.flatten(2, 3) * there
    total = o.new_zeros(*o.shape[:2], length, o.shape[-1]).scatter_add(2, index.expand_as(o), o)
    times = o.new_zeros(*o.shape[:2], length, 1).scatter_add(2, index, there)
    return total / times.clamp(min=1)
