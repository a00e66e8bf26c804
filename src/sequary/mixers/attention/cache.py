"""The state of softmax attention: every key and value so far, and who may see them."""

from __future__ import annotations

import dataclasses
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.ops.rotary import counted, turns

LEAST = 64
"""Tokens that a new room has places for."""


class Room:
    """Keys and values [B, H, places, ·] of which the first `filled` are taken. The cache that ends there may write on; an older one
    that does gets a room of its own, so that every cache stays what it was."""

    def __init__(self, k: Tensor, v: Tensor, places: int) -> None:
        self.k, self.v = (x.new_empty(*x.shape[:2], places, x.shape[3]) for x in (k, v))
        self.filled = 0

    def holds(self, cache: Cache, new: int) -> bool:
        """Whether `cache` lies here, ends where the room is filled up to, and `new` more fit."""
        length = cache.k.shape[2]
        here = self.k.data_ptr() == cache.k.data_ptr() and self.k.shape[:2] == cache.k.shape[:2]
        return here and self.filled == length and length + new <= self.k.shape[2]

    def write(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values so far, as views."""
        start, self.filled = self.filled, self.filled + k.shape[2]
        self.k[:, :, start : self.filled] = k
        self.v[:, :, start : self.filled] = v
        return self.k[:, :, : self.filled], self.v[:, :, : self.filled]


@dataclasses.dataclass(frozen=True, slots=True)
class Cache(State):
    """Keys [B, H, S, K] and values [B, H, S, V] of S steps, with what visibility needs of each."""

    k: Tensor
    v: Tensor
    real: Tensor | None = None
    """[B, S] bool: not padding. Absent: all are real."""
    order: Tensor | None = None
    """[B, S] int: when each became known. Absent: its index."""
    room: Room | None = None
    """Where keys and values lie with places to spare, while nothing asks for gradients."""

    @classmethod
    def empty(cls, batch: int, heads: int, key: int, value: int, like: Tensor) -> Self:
        return cls(like.new_zeros(batch, heads, 0, key), like.new_zeros(batch, heads, 0, value))

    def positions(self, ctx: Ctx, batch: int, length: int) -> Tensor:
        """[B, t]: positions of the next tokens, counted on from the real ones seen so far unless `ctx` gives them."""
        if ctx.positions is not None:
            return ctx.positions
        start = self.k.shape[2] if self.real is None else self.real.sum(1, keepdim=True)
        return ctx.position_ids(batch, length, self.k.device) + start

    def turns(self, ctx: Ctx, like_BHtK: Tensor, *, base: float) -> tuple[Tensor, Tensor]:
        """Rotary angles (cos, sin) of the next tokens, whose queries or keys are like `like`."""
        batch, _, length, width = like_BHtK.shape
        plain = ctx.positions is None and ctx.mask is None and ctx.segments is None and self.real is None
        if plain and not torch.compiler.is_compiling():
            start, device = self.k.shape[2], like_BHtK.device
            return counted(start, length, width, base=base, dtype=like_BHtK.dtype, device=device)
        return turns(self.positions(ctx, batch, length), width, base=base, dtype=like_BHtK.dtype)

    def append(self, k_BHtK: Tensor, v_BHtV: Tensor, ctx: Ctx) -> tuple[Cache, Tensor | None]:
        """The longer cache, and [B, t, S + t]: what each new query sees; None where that is everything."""
        batch, _, new, _ = k_BHtK.shape
        past, device = self.k.shape[2], k_BHtK.device
        k, v, room = self._joined(k_BHtK, v_BHtV)
        real, order = self.real, self.order
        if ctx.mask is not None or real is not None:
            ones = torch.ones(batch, past + new, dtype=torch.bool, device=device)
            real = torch.cat(
                (ones[:, :past] if real is None else real, ones[:, past:] if ctx.mask is None else ctx.mask), 1
            )
        if ctx.order is not None or order is not None:
            index = torch.arange(past + new, device=device).expand(batch, -1)
            order = torch.cat(
                (index[:, :past] if order is None else order, index[:, past:] if ctx.order is None else ctx.order), 1
            )
        longer = Cache(k, v, real, order, room)
        return longer, None if new == 1 and real is order is None else longer._sees(new)

    def extend(self, k_BHtK: Tensor, v_BHtV: Tensor, ctx: Ctx) -> tuple[Cache, Tensor]:
        """As `append`, for scores that want what is seen written out."""
        longer, sees = self.append(k_BHtK, v_BHtV, ctx)
        return longer, longer._sees(k_BHtK.shape[2]) if sees is None else sees

    def _joined(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Room | None]:
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return torch.cat((self.k, k), 2), torch.cat((self.v, v), 2), None
        room = self.room
        if room is None or not room.holds(self, k.shape[2]):
            room = Room(k, v, max(LEAST, 2 * (self.k.shape[2] + k.shape[2])))
            room.write(self.k, self.v)
        return *room.write(k, v), room

    def _sees(self, new: int) -> Tensor:
        batch, length = self.k.shape[0], self.k.shape[2]
        order = torch.arange(length, device=self.k.device).expand(batch, -1) if self.order is None else self.order
        sees = order[:, None, :] <= order[:, length - new :, None]
        return sees if self.real is None else sees & self.real[:, None, :]

    def fixed(self, places: int) -> Cache:
        if self.order is not None:
            raise ValueError("a cache whose tokens came in an order of their own has no form of fixed size")
        batch, length, room = self.k.shape[0], self.k.shape[2], places - self.k.shape[2]
        k, v = (F.pad(x, (0, 0, 0, room)) for x in (self.k, self.v))
        real = self.k.new_ones(batch, length, dtype=torch.bool) if self.real is None else self.real
        filled = torch.full((batch,), length, device=k.device)
        return Places(k, v, F.pad(real, (0, room)), filled=filled)

    def can_rewind(self) -> bool:
        return True

    def rewind(self, length: int) -> Cache:
        real, order = (None if x is None else x[:, :length] for x in (self.real, self.order))
        return Cache(self.k[:, :, :length], self.v[:, :, :length], real, order, self.room)


@dataclasses.dataclass(frozen=True, slots=True)
class Places(Cache):
    """A cache of a fixed number of places, the first `filled` [B] of them taken: `real` is False at the others."""

    filled: Tensor | None = None

    def append(self, k_BHtK: Tensor, v_BHtV: Tensor, ctx: Ctx) -> tuple[Cache, Tensor]:
        assert self.filled is not None
        assert self.real is not None
        new = k_BHtK.shape[2]
        at_Bt = self.filled[:, None] + torch.arange(new, device=k_BHtK.device)
        mask = torch.ones_like(at_Bt, dtype=torch.bool) if ctx.mask is None else ctx.mask
        real = self.real.scatter(1, at_Bt, mask)
        k, v = (_put(past, at_Bt, x) for past, x in ((self.k, k_BHtK), (self.v, v_BHtV)))
        before = torch.arange(k.shape[2], device=k.device) <= at_Bt[..., None]
        longer = dataclasses.replace(self, k=k, v=v, real=real, filled=self.filled + new)
        return longer, before & real[:, None, :]

    def fixed(self, places: int) -> Places:
        return self

    def can_rewind(self) -> bool:
        return False


def _put(past_BHSK: Tensor, at_Bt: Tensor, x_BHtK: Tensor) -> Tensor:
    """In place where it is traced: a compiled step owns its cache, and a copy would cost more than all else in it."""
    k_BHSK = past_BHSK if torch.compiler.is_compiling() else past_BHSK.clone()
    k_BHSK[torch.arange(len(at_Bt), device=at_Bt.device)[:, None], :, at_Bt] = x_BHtK.transpose(1, 2)
    return k_BHSK
