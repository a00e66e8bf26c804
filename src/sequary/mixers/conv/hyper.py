"""Convolutions whose kernels a small network of the place makes, alone or times the very input that they meet.

Zhang, HyperZ·Z·W Operator Connects Slow-Fast Networks for Full Context Interaction (arXiv 2401.17948).
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.conv.slow_net import SlowNet
from sequary.ops.long_conv import long_conv


@dataclasses.dataclass(frozen=True, slots=True)
class PastState(State):
    """All tokens so far [B, S, D], which of them are real [B, S], and their segments [B, S]."""

    tokens: Tensor
    real: Tensor
    segments: Tensor

    def can_rewind(self) -> bool:
        return True

    def rewind(self, length: int) -> PastState:
        return PastState(self.tokens[:, :length], self.real[:, :length], self.segments[:, :length])


class PlacedKernel(Recurrent):
    """An interface: y_t = Σ_{s<=t} k_s ⊙ z_{t−s}, z = GELU(F x), k_s of the places 0, 1, … of a sequence, as long as it is.

    `span`: how many places make one unit for the slow network. Whole rows by FFT. The kernel may read what stands at its place, so
    steps need all of the past.
    """

    grows = True
    cost = 1.0

    def __init__(self, dim: int, *, span: int = 64, hidden: int = 16, layers: int = 2, frequency: float = 2.0) -> None:
        super().__init__()
        self.span = span
        self.slow = SlowNet(dim, hidden=hidden, layers=layers, frequency=frequency)
        self.fast = nn.Linear(dim, dim)
        with torch.no_grad():
            self.slow.out.weight.div_(span**0.5)

    def places(self, at: Tensor) -> Tensor:
        """[..., D] the slow network's weights at whole places."""
        return self.slow((at.flatten() / self.span).to(self.fast.weight.dtype)).view(*at.shape, -1)

    def kernel(self, w: Tensor, x_BTD: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        place_T, z = torch.arange(length, device=x_BTD.device), F.gelu(self.fast(x_BTD))
        if ctx.mask is None and ctx.segments is None:
            return long_conv(z, self.kernel(self.places(place_T), x_BTD))
        real = torch.ones_like(z[..., 0], dtype=torch.bool) if ctx.mask is None else ctx.mask
        order = (~real).long().argsort(dim=1, stable=True)  # real tokens first
        x, z = (_take(t * real[..., None], order) for t in (x_BTD, z))
        if ctx.segments is None:
            y = long_conv(z, self.kernel(self.places(place_T), x))
        else:
            at = Ctx(mask=real, segments=ctx.segments).position_ids(batch, length, x.device).gather(1, order)
            y = _within(z, self.kernel(self.places(at), x), at, ctx.segments.gather(1, order))
        return _take(y, order.argsort(1))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> PastState:
        tokens = self.fast.weight.new_zeros(batch, 0, self.fast.in_features)
        return PastState(tokens, tokens[..., 0].bool(), tokens[..., 0].long())

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, PastState]:
        assert isinstance(state, PastState)
        real = torch.ones_like(x_BtD[..., 0], dtype=torch.bool) if ctx.mask is None else ctx.mask
        own = torch.zeros_like(real, dtype=torch.long) if ctx.segments is None else ctx.segments
        pairs = ((state.tokens, x_BtD), (state.real, real), (state.segments, own))
        after = PastState(*(torch.cat(pair, 1) for pair in pairs))
        whole = Ctx(mask=after.real, segments=None if ctx.segments is None else after.segments)
        return self(after.tokens, whole)[:, state.tokens.shape[1] :], after


class HyperConv(PlacedKernel):
    """k_s = w_s ⊙ x_s: the kernel is the context's, each of whose tokens meets each other one."""

    def kernel(self, w: Tensor, x_BTD: Tensor) -> Tensor:
        return w * x_BTD


class ImplicitConv(PlacedKernel):
    """k_s = w_s, whatever is convolved."""

    def kernel(self, w: Tensor, x_BTD: Tensor) -> Tensor:
        return w


def _take(x_BSD: Tensor, index_BT: Tensor) -> Tensor:
    return x_BSD.gather(1, index_BT[..., None].expand(-1, -1, x_BSD.shape[-1]))


def _within(z_BTD: Tensor, k_BTD: Tensor, at_BT: Tensor, segments_BT: Tensor) -> Tensor:
    """Σ_s k_s ⊙ z at the place at_t − at_s of the same segment, which stands at_s before t."""
    index_BTS = torch.arange(z_BTD.shape[1], device=z_BTD.device)[:, None] - at_BT[:, None]
    same_BTS = (segments_BT[:, :, None] == segments_BT[:, None]) & (at_BT[:, None] <= at_BT[:, :, None])
    found = z_BTD[torch.arange(len(z_BTD), device=z_BTD.device)[:, None, None], index_BTS.clamp(min=0)]
    return (found * (k_BTD[:, None] * same_BTS[..., None])).sum(2)
