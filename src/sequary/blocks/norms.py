"""Norms as parts: torch's own, with the width first and the context along. They normalise features, not tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Member
from sequary.core.ctx import Ctx
from sequary.ops.rms_norm import rms_norm


class Norm(Member):
    """[B, T, D] -> [B, T, D]; may read the mask."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        raise NotImplementedError


class NoNorm(Norm):
    """y = x: for hosts that study what norms do."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return x_BTD


class LayerNorm(Norm):
    """(x − mean) / √(var + eps) · weight + bias over features (Ba et al., 2016). `affine=False` drops weight and bias."""

    def __init__(self, dim: int, *, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=eps, elementwise_affine=affine)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.norm(x_BTD)


class RMSNorm(Norm):
    """x / √(mean x² + eps) · weight over features (Zhang & Sennrich, 2019)."""

    def __init__(self, dim: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(dim, eps=eps)
        self.eps = eps

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return rms_norm(x_BTD, self.norm.weight, eps=self.eps)


class BatchNorm(Norm):
    """Each feature over all real tokens of the batch (Ioffe & Szegedy, 2015); padding does not count. Running means in eval."""

    def __init__(self, dim: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dim, eps=eps, momentum=momentum)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        if ctx.mask is None or not self.training:
            return self.norm(x_BTD.flatten(0, 1)).view_as(x_BTD)
        y = torch.zeros_like(x_BTD)
        y[ctx.mask] = self.norm(x_BTD[ctx.mask]).to(y.dtype)
        return y
