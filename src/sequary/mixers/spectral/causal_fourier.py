"""Fourier mixing of past tokens, without a parameter (FNetAR: FNet's mixing made causal)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.conv.short import ConvState
from sequary.ops.causal_conv import starts, toeplitz_conv


class CausalFourier(Recurrent):
    """The discrete Fourier transform of the last W = `window` tokens, its real part at the place of the newest.

    With z_0 … z_{W-1} the window and z_{W-1} the current token, entry W - 1 of the unitary transform has the real part
    y_t = W^{-1/2} Σ_n cos(2π n (W-1) / W) z_n = W^{-1/2} Σ_{j<W} cos(2π (j+1) / W) x_{t-j}:
    one fixed lower-triangular banded matrix. Tokens before the first count as zeros.
    """

    cost = 2.0

    def __init__(self, dim: int, *, window: int = 64) -> None:
        super().__init__()
        if window < 1:
            raise ValueError(f"window={window} holds no token; use 1 or more")
        self.dim = dim
        oldest_first = torch.arange(window, 0, -1, dtype=torch.float64)
        kernel_K = (2 * math.pi * oldest_first / window).cos() / math.sqrt(window)
        self.kernel: Tensor
        self.register_buffer("kernel", kernel_K.to(torch.get_default_dtype()), persistent=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> ConvState:
        return ConvState.empty(batch, len(self.kernel), self.dim, self.kernel)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, ConvState]:
        assert isinstance(state, ConvState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        y_BtD, past = toeplitz_conv(x_BtD, self.kernel, state.past, mask_BT=ctx.mask, starts_BT=begins)
        return y_BtD, ConvState(past, segment)
