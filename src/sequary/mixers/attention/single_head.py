"""Reading values by one attention map, between projections that others make: full or in chunks, softmax or elementwise weights.

Ma et al., Mega: Moving Average Equipped Gated Attention (arXiv 2209.10655), sections 3.2 and 3.4.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.attention.position_bias import PositionBias, TableBias
from sequary.ops.attend import attend


def laplace(x: Tensor) -> Tensor:
    """½ (1 + erf((x − μ) / (σ √2))), μ = √½ and σ = √(1 / 4π), rounded as in the authors' code: close to squared ReLU, but bounded."""
    return 0.5 * (1 + torch.erf((x - 0.707107) / (0.282095 * 2**0.5)))


class Reader(nn.Module):
    """An interface: queries, keys [B, T, Z] and values [B, T, V] -> [B, T, V]. Declares what a mixer declares; `dim` is Z."""

    causal: bool = True
    recurrent: bool = True
    smooth: bool = True
    grows: bool = False
    cost: float = 1.0

    def forward(self, q_BTZ: Tensor, k_BTZ: Tensor, v_BTV: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        raise NotImplementedError

    def init_state(self, batch: int, value: int, like: Tensor) -> State:
        """For values of width `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no recurrent form, so neither has what holds it")

    def step(self, q_BtZ: Tensor, k_BtZ: Tensor, v_BtV: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        raise NotImplementedError(f"{type(self).__name__} has no recurrent form, so neither has what holds it")


@dataclasses.dataclass(frozen=True, slots=True)
class Read(State):
    """Keys [B, S, Z] and values [B, S, V] that may be read again; of each its position, segment and whether it is real [B, S]."""

    k: Tensor
    v: Tensor
    at: Tensor
    segment: Tensor
    real: Tensor
    next: Tensor
    """[B]: the position that the next token of the same segment has."""
    latest: Tensor
    """[B]: the segment of the last real token."""

    def extend(self, k_BtZ: Tensor, v_BtV: Tensor, ctx: Ctx) -> Read:
        batch, new = k_BtZ.shape[:2]
        real = torch.ones_like(k_BtZ[..., 0], dtype=torch.bool) if ctx.mask is None else ctx.mask
        segment = self.latest[:, None].expand(-1, new) if ctx.segments is None else ctx.segments
        at = ctx.position_ids(batch, new, k_BtZ.device)
        if ctx.positions is None:
            at = at + torch.where(segment == self.latest[:, None], self.next[:, None], 0)
        last = (real * torch.arange(1, new + 1, device=at.device)).amax(1, keepdim=True)
        return Read(
            torch.cat((self.k, k_BtZ), 1),
            torch.cat((self.v, v_BtV), 1),
            torch.cat((self.at, at), 1),
            torch.cat((self.segment, segment), 1),
            torch.cat((self.real, real), 1),
            torch.cat((self.next[:, None], at + 1), 1).gather(1, last)[:, 0],
            torch.cat((self.latest[:, None], segment), 1).gather(1, last)[:, 0],
        )

    def newest(self, slots: int) -> Read:
        """The last `slots` real tokens; padding, which goes first, fills up."""
        kept = self.real.int().argsort(dim=1, stable=True)[:, self.real.shape[1] - slots :]
        k, v = (x.gather(1, kept[..., None].expand(-1, -1, x.shape[-1])) for x in (self.k, self.v))
        at, segment, real = (x.gather(1, kept) for x in (self.at, self.segment, self.real))
        return Read(k, v, at, segment, real, self.next, self.latest)


class SingleHead(Reader):
    """o_t = Σ_s w_ts v_s over the real tokens s of t's segment, s <= t where `causal`.

    w = softmax_s(q_t·k_s / √Z + b_ts); or with a `weigh`, w_ts = weigh(q_t·k_s / n_t + b_ts), n_t the number of tokens that t sees.
    `chunk` C: tokens C j … C j + C − 1 of a segment see each other alone, which is linear in the length with a state of C − 1 tokens.
    """

    def __init__(
        self,
        dim: int,
        *,
        causal: bool = True,
        chunk: int | None = None,
        bias: Part[PositionBias] = part(TableBias),
        weigh: Callable[[Tensor], Tensor] | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        self.width, self.chunk, self.weigh = dim, chunk, weigh
        self.causal = self.recurrent = causal
        self.grows, self.cost = chunk is None, 2.0 if chunk is None else 1.0
        self.bias = bias.build(Place.here(place, dim))

    def forward(self, q_BTZ: Tensor, k_BTZ: Tensor, v_BTV: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = q_BTZ.shape
        if self.chunk is not None and ctx.mask is None and ctx.segments is None and ctx.positions is None:
            return self._chunks(q_BTZ, k_BTZ, v_BTV, self.chunk)
        at = ctx.position_ids(batch, length, q_BTZ.device)
        sees = dataclasses.replace(ctx, order=None).sees(batch, length, q_BTZ.device, causal=self.causal)
        if sees is None:
            sees = self._all(length, q_BTZ.device)[None]
        if self.chunk is not None:
            sees = sees & (at[:, :, None] // self.chunk == at[:, None, :] // self.chunk)
        return self._read(q_BTZ[:, None], k_BTZ[:, None], v_BTV[:, None], self.bias(at, at), sees[:, None])[:, 0]

    def init_state(self, batch: int, value: int, like: Tensor) -> Read:
        slots = 0 if self.chunk is None else self.chunk - 1
        none, one = like.new_zeros(batch, slots), like.new_zeros(batch, dtype=torch.long)
        k, v = like.new_zeros(batch, slots, self.width), like.new_zeros(batch, slots, value)
        return Read(k, v, none.long(), none.long(), none.bool(), one, one - 1)

    def step(self, q_BtZ: Tensor, k_BtZ: Tensor, v_BtV: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Read)
        old, new = state.k.shape[1], q_BtZ.shape[1]
        all_ = state.extend(k_BtZ, v_BtV, ctx)
        at, segment = all_.at[:, old:, None], all_.segment[:, old:, None]
        sees = self._all(old + new, q_BtZ.device)[old:] & all_.real[:, None] & (segment == all_.segment[:, None])
        if self.chunk is not None:
            sees = sees & (at // self.chunk == all_.at[:, None] // self.chunk)
        bias = self.bias(all_.at[:, old:], all_.at)
        o = self._read(q_BtZ[:, None], all_.k[:, None], all_.v[:, None], bias, sees[:, None])[:, 0]
        return o, all_ if self.chunk is None else all_.newest(self.chunk - 1)

    def _chunks(self, q_BTZ: Tensor, k_BTZ: Tensor, v_BTV: Tensor, size: int) -> Tensor:
        """[B, T, V] of rows without padding: chunks stand where heads would."""
        length = q_BTZ.shape[1]
        q, k, v = (self._cut(x, size) for x in (q_BTZ, k_BTZ, v_BTV))
        within = torch.arange(size, device=q.device)[None]
        real = torch.arange(q.shape[1] * size, device=q.device).view(1, -1, 1, size) < length
        o = self._read(q, k, v, self.bias(within, within), self._all(size, q.device) & real)
        return o.flatten(1, 2)[:, :length]

    def _cut(self, x_BTZ: Tensor, size: int) -> Tensor:
        full = F.pad(x_BTZ, (0, 0, 0, -x_BTZ.shape[1] % size))
        return full.view(x_BTZ.shape[0], -1, size, x_BTZ.shape[2])

    def _all(self, length: int, device: torch.device) -> Tensor:
        every = torch.ones(length, length, dtype=torch.bool, device=device)
        return every.tril() if self.causal else every

    def _read(self, q: Tensor, k: Tensor, v: Tensor, bias_BTS: Tensor, sees: Tensor) -> Tensor:
        """Axes B, chunk, T and S; `sees` has all four."""
        bias = bias_BTS[:, None].to(q.dtype)
        if self.weigh is None:
            return attend(q, k, v, sees=sees, bias=bias)
        count = sees.sum(-1, keepdim=True).clamp(min=1)
        return (self.weigh(q @ k.mT / count + bias) * sees) @ v
