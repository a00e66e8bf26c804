"""Parts of the package routing_transformer 1.6.1 (lucidrains), which depart from ours: its attention chooses from the whole row even
where it is causal, so that what it says is not what a decoder can know. For parity only."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import join, split
from sequary.ops.block_attend import take

SELF = -5e4
"""The score of a token with itself where queries are the keys."""


class Clusters(nn.Module):
    """`KmeansAttention`: every centroid takes its most similar tokens, normalised to length 1; memories stand before the keys."""

    means: Tensor

    def __init__(
        self,
        means: Tensor,
        memories: int,
        *,
        window: int,
        other_window: int,
        causal: bool,
        shared: bool,
        context: bool,
        commitment: float,
    ) -> None:
        super().__init__()
        self.window, self.other_window, self.commitment = window, other_window, commitment
        self.causal, self.shared, self.context = causal, shared, context
        self.register_buffer("means", torch.empty_like(means))
        self.key, self.value = (nn.Parameter(torch.empty(*means.shape[:2], memories, means.shape[2])) for _ in range(2))

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, asking: Tensor | None = None, asked: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(o [B, H, T, K], the commitment loss). `asking` [B, T] and `asked` [B, S]: real queries and keys."""
        own = self.shared and not self.context
        similar, loss = self._similar(q if own else torch.cat((q, k), 2))
        queries = _nearest(similar[:, :, : q.shape[2]], self.window)
        keys = (
            queries
            if own
            else _nearest(similar[:, :, q.shape[2] :], self.other_window if self.context else self.window)
        )
        k = take(F.normalize(k, dim=-1) if own else k, keys)
        first = self.key.shape[2]
        k, v = (torch.cat((m.expand(len(q), *m.shape), x), 3) for m, x in ((self.key, k), (self.value, take(v, keys))))
        scores = take(q, queries) @ k.mT / math.sqrt(q.shape[-1])
        least = -torch.finfo(scores.dtype).max
        asked = asking if asked is None and not self.context else asked
        if asking is not None or asked is not None:
            there = [_flags(real, at) for real, at in ((asking, queries), (asked, keys))]
            scores = scores.masked_fill(F.pad(~(there[0][..., None] & there[1][..., None, :]), (first, 0)), least)
        if self.causal:
            scores = scores.masked_fill(F.pad(queries[..., None] < keys[..., None, :], (first, 0)), least)
        if self.shared:
            scores = scores.masked_fill(F.pad(queries[..., None] == keys[..., None, :], (first, 0)), SELF)
        o = (scores.softmax(-1) @ v).flatten(2, 3)
        index = queries.flatten(2)[..., None].expand_as(o)
        total = torch.zeros_like(q)
        return total.scatter_add(2, index, o) / (total.scatter_add(2, index, torch.ones_like(o)) + 1e-5), loss

    def _similar(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.normalize(x, dim=-1)
        similar = (x @ self.means.mT).detach()
        nearest = self.means[torch.arange(len(self.means))[:, None], similar.argmax(-1)]
        return similar, F.mse_loss(x, nearest) * self.commitment


def _nearest(similar_BHTC: Tensor, window: int) -> Tensor:
    return similar_BHTC.topk(min(window, similar_BHTC.shape[2]), dim=2).indices.mT


def _flags(real: Tensor | None, at: Tensor) -> Tensor:
    return (
        torch.ones_like(at, dtype=torch.bool)
        if real is None
        else real[:, None, None].expand(*at.shape[:3], -1).gather(3, at)
    )


class Local(nn.Module):
    """`LocalAttention`: blocks of `window` read `reach` blocks before them, and as many after unless causal. Angles are counted inside
    what a block reads, and its queries get the last of them, also where blocks after it are read."""

    rates: Tensor

    def __init__(self, rates: Tensor, *, window: int, reach: int, causal: bool) -> None:
        super().__init__()
        self.window, self.reach, self.causal = window, reach, causal
        self.register_buffer("rates", torch.empty_like(rates))

    def forward(self, q: Tensor, k: Tensor, v: Tensor, real: Tensor | None) -> Tensor:
        w, length = self.window, q.shape[2]
        count = length // w
        ahead = 0 if self.causal else self.reach
        at = (torch.arange(count)[:, None] - self.reach) * w + torch.arange((self.reach + 1 + ahead) * w)
        inside, keys = (at >= 0) & (at < length), at.clamp(0, length - 1)
        angle = torch.arange(at.shape[1])[:, None] * self.rates
        q, k, v = _turned(q.unflatten(2, (count, w)), angle[-w:]), _turned(k[:, :, keys], angle), v[:, :, keys]
        sees = inside[:, None]
        if self.causal:
            sees = sees & (torch.arange(length).view(count, w, 1) >= at[:, None])
        sees = sees[None, None]
        if real is not None:
            sees = sees & real[:, keys][:, None, :, None]
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~sees, -torch.finfo(q.dtype).max)
        return (scores.softmax(-1) @ v.masked_fill(~inside[..., None], -1)).flatten(2, 3)  # the source fills up with −1


def _turned(x: Tensor, angle: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return torch.cat((a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()), -1)


class PackageAttention(Mixer):
    """`SelfAttention`: `local` heads first, then the routed ones, whose q, k and v are turned by `turns` (sines, then cosines)."""

    def __init__(
        self,
        dim: int,
        *,
        width: int,
        local: Local | None,
        clusters: Clusters | None,
        turns: Tensor | None,
        heads: tuple[int, int],
    ) -> None:
        super().__init__()
        self.heads, self.local, self.clusters = heads, local, clusters
        self.register_buffer("turns", None if turns is None else torch.empty_like(turns))
        self.near = nn.Linear(dim, 3 * heads[0] * width) if heads[0] else None
        routed = () if clusters is None else ("q", "v") if clusters.shared else ("q", "k", "v")
        self.reads = nn.ModuleDict({name: nn.Linear(dim, heads[1] * width, bias=False) for name in routed})
        self.o = nn.Linear(sum(heads) * width, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        said: list[Tensor] = []
        if self.local is not None and self.near is not None:
            said.append(self.local(*(split(t, self.heads[0]) for t in self.near(x_BTD).chunk(3, -1)), ctx.mask))
        if self.clusters is not None:
            memory = ctx.memory if self.clusters.context else None
            source = x_BTD if memory is None else memory.tokens
            key = "q" if self.clusters.shared else "k"
            qkv = [split(self.reads[n](y), self.heads[1]) for n, y in (("q", x_BTD), (key, source), ("v", source))]
            if isinstance(self.turns, Tensor):
                qkv = [_paired(t, self.turns[: t.shape[2]]) for t in qkv]
            o, loss = self.clusters(*qkv, ctx.mask, None if memory is None else memory.mask)
            ctx.tell("commitment", lambda: loss)
            said.append(o)
        return self.o(join(torch.cat(said, 1)))


def _paired(x: Tensor, turns: Tensor) -> Tensor:
    """Neighbouring features are a pair here."""
    sin, cos = (t.repeat_interleave(2, -1) for t in turns.chunk(2, -1))
    return x * cos + torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2) * sin
