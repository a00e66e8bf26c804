"""Seeded bugs of recurrent forms."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.causal import CausalAttention


@dataclasses.dataclass(frozen=True, slots=True)
class DecayState(State):
    """The decaying sum [B, D], and the segment [B] that it belongs to."""

    h: Tensor
    segment: Tensor


class Decay(Recurrent):
    """h_t = 0.9 h_{t−1} + W x_t: healthy; padding leaves h as it is, a new segment begins at 0."""

    cost = 1.0

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.w = nn.Linear(dim, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return Decay.step(self, x_BTD, Decay.init_state(self, x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> State:
        like = self.w.weight
        return DecayState(like.new_zeros(batch, like.shape[0]), like.new_full((batch,), -1, dtype=torch.long))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, DecayState)
        u, h, at, out = self.w(x_BtD), state.h, state.segment, []
        for t in range(u.shape[1]):
            now = at if ctx.segments is None else ctx.segments[:, t]
            new = 0.9 * torch.where((now == at)[:, None], h, 0) + u[:, t]
            real = torch.ones_like(now, dtype=torch.bool) if ctx.mask is None else ctx.mask[:, t]
            h, at = torch.where(real[:, None], new, h), torch.where(real, now, at)
            out.append(h)
        return torch.stack(out, 1), DecayState(h, at)


class ForgottenState(Decay):
    """Gives back the state that it was given."""

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return super().step(x_BtD, state, ctx)[0], state


class PaddingEntersState(Decay):
    """The step does not look at the mask; forward does."""

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return super().step(x_BtD, state, dataclasses.replace(ctx, mask=None))


class OrderForgotten(CausalAttention):
    """A step makes its group causal."""

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return super().step(x_BtD, state, dataclasses.replace(ctx, order=None))


@dataclasses.dataclass(frozen=True, slots=True)
class BoxedState(State):
    """A tensor in a list, which `map` does not find."""

    box: list[Tensor]


class RowsForgotten(Decay):
    """Its state cannot be selected from."""

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> State:
        made = super().init_state(batch)
        assert isinstance(made, DecayState)
        return BoxedState([made.h, made.segment])

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, BoxedState)
        out, after = super().step(x_BtD, DecayState(*state.box), ctx)
        assert isinstance(after, DecayState)
        return out, BoxedState([after.h, after.segment])


@dataclasses.dataclass(frozen=True, slots=True)
class UncutCache(Cache):
    """Cuts its keys, and keeps the visibility of those that are gone."""

    def rewind(self, length: int) -> Cache:
        return self


class UncutRewind(CausalAttention):
    """Going back changes nothing."""

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Cache:
        return _uncut(super().init_state(batch, ctx))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        out, after = super().step(x_BtD, state, ctx)
        assert isinstance(after, Cache)
        return out, _uncut(after)


def _uncut(cache: Cache) -> UncutCache:
    return UncutCache(cache.k, cache.v, cache.real, cache.order)


class GrowsUnsaid(CausalAttention):
    """A cache that calls itself constant."""

    grows = False


class GrowsNot(Decay):
    """A constant state that calls itself a cache."""

    grows = True


class OldStateChanged(Decay):
    """Saves a copy by writing into the state."""

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, DecayState)
        out, after = super().step(x_BtD, state, ctx)
        assert isinstance(after, DecayState)
        state.h.copy_(after.h)
        return out, after


class StateInFloat32(Decay):
    """Begins in float32 and stays there."""

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        out, after = super().step(x_BtD, state, ctx)
        return out.float(), after.to(dtype=torch.float32)


BUGS: tuple[tuple[str, Any, str], ...] = (
    ("steps", ForgottenState, "steps of 1 × 7"),
    ("padded_steps", PaddingEntersState, "after padding on the left"),
    ("ordered_steps", OrderForgotten, "steps by groups"),
    ("select", RowsForgotten, "after select"),
    ("rewind", UncutRewind, "after rewind"),
    ("grows", GrowsUnsaid, "declares grows = False"),
    ("grows", GrowsNot, "declares grows"),
    ("old_state", OldStateChanged, "changes the state"),
    ("state_dtype", StateInFloat32, "torch.float64 in, torch.float32 out"),
)
