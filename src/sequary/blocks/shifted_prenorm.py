"""The pre-norm block whose branches see half of their features one token late (token shift, RWKV, arXiv 2305.13048)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.blocks.norms import Norm, RMSNorm
from sequary.blocks.residual import Branched, advance, start
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.conv.short import ConvState
from sequary.mixers.mlp.dense import MLP
from sequary.ops.causal_conv import causal_conv, starts


def token_shift(x_BtD: Tensor, state: ConvState, ctx: Ctx) -> tuple[Tensor, ConvState]:
    """(first half of x_t, second half of x_{t−1}), zeros before the first token; an odd width has the larger half first."""
    begins, segment = starts(ctx.segments, ctx.mask, state.segment)
    dim = x_BtD.shape[-1]
    now = torch.arange(dim, device=x_BtD.device) < -(-dim // 2)
    taps = torch.stack((~now, now), 1).to(x_BtD.dtype)
    y_BtD, past = causal_conv(x_BtD, taps, state.past, mask_BT=ctx.mask, starts_BT=begins)
    return y_BtD, ConvState(past, segment)


class ShiftedPreNorm(Branched):
    """x ← x + part(norm(shift(x))) for each of `parts` in turn. Ignores `ctx.order`: the token before is always read."""

    tiny = {"parts": (part(CausalAttention, heads=2), part(MLP))}

    def __init__(
        self,
        dim: int,
        *,
        parts: tuple[Part[Mixer], ...],
        norm: Part[Norm] = part(RMSNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__(dim, parts=parts, norm=norm, place=place)
        self.dim = dim
        self.orders = False

    def _before(self, batch: int, like: Tensor) -> ConvState:
        return ConvState.empty(batch, 2, self.dim, like)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        ctx = dataclasses.replace(ctx, order=None)
        for norm, mixer in zip(self.norms, self.parts, strict=True):
            shifted, _ = token_shift(x_BTD, self._before(len(x_BTD), x_BTD), ctx)
            x_BTD = x_BTD + mixer(norm(shifted, ctx), ctx)
        return x_BTD

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> States:
        """For each part the token before, then its own state."""
        before = self._before(batch, next(self.parameters()))
        return States(tuple(States((before, start(p, batch, ctx))) for p in self.mixers()))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, States)
        ctx = dataclasses.replace(ctx, order=None)
        after: list[State] = []
        for norm, mixer, old in zip(self.norms, self.mixers(), state.each, strict=True):
            assert isinstance(old, States)
            before, inner = old.each
            assert isinstance(before, ConvState)
            shifted, before = token_shift(x_BtD, before, ctx)
            y, inner = advance(mixer, norm(shifted, ctx), inner, ctx)
            x_BtD = x_BtD + y
            after.append(States((before, inner)))
        return x_BtD, States(tuple(after))
