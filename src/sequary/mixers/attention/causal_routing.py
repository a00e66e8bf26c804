"""Causal attention inside clusters of similar tokens (Roy et al., Routing Transformer, arXiv 2003.05997), without a view of the future."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.local import counted, marks
from sequary.mixers.attention.projection import check_heads, join, split
from sequary.mixers.attention.routing import Centroids, normed
from sequary.ops.block_attend import reading, run_attend
from sequary.ops.rotary import rotate


@dataclasses.dataclass(frozen=True, slots=True)
class Routed(State):
    """The latest tokens of each cluster, oldest first: `q` [B, H, S, K], `v` [B, H, S, V], S = clusters · (window − 1) slots."""

    q: Tensor
    v: Tensor
    real: Tensor
    """[B, H, S] bool: the slot is taken."""
    segment: Tensor
    """[B, H, S]."""
    count: Tensor
    """[B]: real tokens so far."""


class CausalRoutingAttention(Recurrent):
    """o_t = Σ_s softmax_s(q_t·q_s / √K) v_s over t and the `window` − 1 tokens before it that have the same nearest centroid.

    Keys are the queries (section 4.1). The paper's top tokens of each cluster are chosen from the whole row, which lets a token see
    that later ones are there; here the nearest centroid alone decides, and the latest tokens of a cluster stay in the state.
    `base`: of the rotary angles, applied after routing; None for no positions.
    """

    tiny = {"heads": 2, "clusters": 3, "window": 3}
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
        base: float | None = 10_000.0,
    ) -> None:
        super().__init__()
        self.heads, self.clusters, self.window, self.base = heads, clusters, window, base
        self.width = check_heads(dim, heads) if width is None else width
        self.q, self.v = (nn.Linear(dim, heads * self.width, bias=False) for _ in range(2))
        self.centroids = Centroids(heads, clusters, self.width, decay=decay)
        self.o = nn.Linear(heads * self.width, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        real, segment = marks(ctx, x_BTD.shape[0], x_BTD.shape[1], x_BTD.device)
        q, v, cluster = self._project(x_BTD, real, counted(ctx, real, real.new_zeros(len(real), dtype=torch.long)))
        order = cluster.sort(dim=-1, stable=True).indices  # clusters side by side, in time inside each
        begins = _begins(cluster.gather(-1, order)) | _begins(segment[:, None].expand_as(order).gather(-1, order))
        q, v = _at(q, order), _at(v, order)
        seen = real[:, None].expand_as(order).gather(-1, order)
        o, _ = run_attend(q, q, v, width=self.window, run_BhT=begins.cumsum(-1), real_BhT=seen)
        return self.o(join(_at(o, order.argsort(-1))))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Routed:
        like, slots = self.o.weight, self.clusters * (self.window - 1)
        q, v = (like.new_zeros(batch, self.heads, slots, self.width) for _ in range(2))
        none = like.new_zeros(batch, self.heads, slots)
        return Routed(q, v, none.bool(), none.long(), like.new_zeros(batch, dtype=torch.long))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Routed)
        real, segment = marks(ctx, x_BtD.shape[0], x_BtD.shape[1], x_BtD.device)
        q, v, new = self._project(x_BtD, real, counted(ctx, real, state.count))
        slots = torch.arange(state.real.shape[-1], device=q.device) // max(self.window - 1, 1)
        cluster = torch.cat((torch.where(state.real, slots, self.clusters), new), -1)
        after = Routed(
            torch.cat((state.q, q), 2),
            torch.cat((state.v, v), 2),
            torch.cat((state.real, real[:, None].expand_as(new)), -1),
            torch.cat((state.segment, segment[:, None].expand_as(new)), -1),
            state.count + real.sum(1),
        )
        member = F.one_hot(cluster, self.clusters + 1)
        place = member.cumsum(2).gather(-1, cluster[..., None])[..., 0]  # within its cluster, from 1
        left = member.sum(2).gather(-1, cluster) - place
        back = place[:, :, -new.shape[-1] :, None] - place[:, :, None]
        same = (new[..., None] == cluster[:, :, None]) & (segment[:, None, :, None] == after.segment[:, :, None])
        sees = same & (back >= 0) & (back < self.window) & after.real[:, :, None]
        o, _ = reading(q, after.q, after.v, sees)
        return self.o(join(o)), self._latest(after, cluster, left)

    def _latest(self, state: Routed, cluster_BHS: Tensor, left_BHS: Tensor) -> Routed:
        """The last window − 1 tokens of each cluster, in their slots."""
        last, slots = self.window - 1, self.clusters * (self.window - 1)
        slot = torch.where(state.real & (left_BHS < last), cluster_BHS * last + last - 1 - left_BHS, slots)
        flags = slot.new_zeros(*slot.shape[:2], slots + 1)
        wide = slot[..., None].expand_as(state.q)
        return Routed(
            *(
                x.new_zeros(*x.shape[:2], slots + 1, self.width).scatter(2, wide, x)[:, :, :-1]
                for x in (state.q, state.v)
            ),
            real=flags.bool().scatter(2, slot, state.real)[..., :-1],
            segment=flags.scatter(2, slot, state.segment)[..., :-1],
            count=state.count,
        )

    def _project(self, x_BTD: Tensor, real_BT: Tensor, positions_BT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, which are the keys, values, and the cluster of each token [B, H, T]; padding has one of its own, the last."""
        q, v = normed(split(self.q(x_BTD), self.heads)), split(self.v(x_BTD), self.heads)
        cluster = self.centroids(q, real_BT).argmax(-1).masked_fill(~real_BT[:, None], self.clusters)
        return q if self.base is None else rotate(q, positions_BT, base=self.base), v, cluster


def _begins(label_BHT: Tensor) -> Tensor:
    """Whether another label stands before; of the first, which begins anyway, nothing is said."""
    return label_BHT != label_BHT.roll(1, -1)


def _at(x_BHTK: Tensor, index_BHT: Tensor) -> Tensor:
    return x_BHTK.gather(2, index_BHT[..., None].expand_as(x_BHTK))
