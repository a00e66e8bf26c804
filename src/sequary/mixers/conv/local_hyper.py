"""Small kernels around each token that a network of the lag makes, alone or with what it hears of the sequence.

Zhang, HyperZ·Z·W Operator Connects Slow-Fast Networks for Full Context Interaction (arXiv 2401.17948).
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.conv.slow_net import SlowNet
from sequary.ops.causal_conv import starts
from sequary.ops.taps import taps


class Local(Mixer):
    """An interface: y_t = GELU(M Σ_j w_j ⊙ x_{t+j}), j = −r … r, 2 r + 1 = `taps`: a small kernel around each token."""

    tiny = {"taps": 3}
    cost = 1.0
    reads = False
    """Whether the kernel reads the mean of a sequence."""

    def __init__(self, dim: int, *, taps: int = 7, hidden: int = 16, layers: int = 2, frequency: float = 0.5) -> None:
        super().__init__()
        if taps % 2 == 0:
            raise ValueError(f"taps={taps}: a kernel around a token is odd; use {taps + 1}")
        self.taps = taps
        self.slow = SlowNet(dim, hidden=hidden, layers=layers, frequency=frequency, context=self.reads)
        self.mix = nn.Linear(dim, dim)

    def kernel(self, x_BTD: Tensor, ctx: Ctx) -> Tensor:
        """[taps, D], or [B, 1 or T, taps, D]."""
        raise NotImplementedError

    def lags(self) -> Tensor:
        return torch.linspace(-1, 1, self.taps, device=self.mix.weight.device, dtype=self.mix.weight.dtype)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        nowhere = x_BTD.new_full(x_BTD.shape[:1], -1, dtype=torch.long)
        begins, _ = starts(ctx.segments, ctx.mask, nowhere)
        reach = self.taps // 2
        before = x_BTD.new_zeros(x_BTD.shape[0], reach, x_BTD.shape[2])
        x = x_BTD if ctx.mask is None else x_BTD * ctx.mask[..., None]
        near, _ = taps(x, before, ahead=reach, mask_BT=ctx.mask, starts_BT=begins)
        return F.gelu(self.mix((torch.stack(near, -2) * self.kernel(x, ctx)).sum(-2)))


class LocalHyper(Local):
    """The slow network also reads u = GELU(U m), m the mean of the sequence: other inputs, other kernels."""

    reads = True

    def __init__(self, dim: int, *, taps: int = 7, hidden: int = 16, layers: int = 2, frequency: float = 0.5) -> None:
        super().__init__(dim, taps=taps, hidden=hidden, layers=layers, frequency=frequency)
        self.context = nn.Linear(dim, hidden)

    def kernel(self, x_BTD: Tensor, ctx: Ctx) -> Tensor:
        sees = dataclasses.replace(ctx, order=None).sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=False)
        mean = x_BTD.mean(1, keepdim=True)
        if sees is not None:
            shares = sees.to(x_BTD.dtype)
            mean = shares @ x_BTD / shares.sum(-1, keepdim=True).clamp(min=1)
        return self.slow(self.lags(), F.gelu(self.context(mean)))


class LocalImplicit(Local):
    """One kernel for all inputs."""

    def kernel(self, x_BTD: Tensor, ctx: Ctx) -> Tensor:
        return self.slow(self.lags())
