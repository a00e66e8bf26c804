"""Convolutions whose few kernels are weights of a mean: fixed ones, and ones that the current token sets.

Wu et al., Pay Less Attention with Lightweight and Dynamic Convolutions (arXiv 1901.10430), sections 3 and 4.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.mixers.attention.projection import check_heads
from sequary.mixers.conv.short import ConvState
from sequary.ops.causal_conv import starts
from sequary.ops.dropout import Dropout
from sequary.ops.taps import taps, weighed


class SharedKernel(Recurrent):
    """An interface: y_t = b + Σ_{j<K} w_{h,j} x_{t + a − (K−1) + j}, K = `taps`, the kernel w_h shared by the D / H channels of head h.

    `ahead` a: how far it sees into the future; above 0 it is neither causal nor recurrent. `softmax`: the weights of a kernel are
    positive and sum to 1; beyond the ends of a sequence stand zeros. `renormalise`: they sum to 1 over what is inside it.
    `dropout` drops weights in training (DropConnect).
    """

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        taps: int,
        ahead: int,
        softmax: bool,
        renormalise: bool,
        bias: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        check_heads(dim, heads)
        if not 0 <= ahead < taps:
            raise ValueError(f"ahead={ahead} of taps={taps}: use 0 (causal) to {taps - 1}")
        if renormalise and not softmax:
            raise ValueError("renormalise=True needs softmax=True: there is no sum to bring back to 1")
        self.dim, self.heads, self.taps, self.ahead = dim, heads, taps, ahead
        self.softmax, self.renormalise = softmax, renormalise
        self.causal = self.recurrent = ahead == 0
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None
        self.dropout = Dropout(dropout)

    def kernels(self, x_BtD: Tensor) -> Tensor:
        """[B, t, H, K], or [H, K] where no token sets them: before the softmax."""
        raise NotImplementedError

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> ConvState:
        width = self.dim + self.renormalise
        return ConvState.empty(batch, self.taps - self.ahead, width, next(self.parameters()))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, ConvState]:
        return self.mix(x_BtD, self.kernels(x_BtD), state, ctx)

    def mix(self, x_BtD: Tensor, kernels: Tensor, state: State, ctx: Ctx) -> tuple[Tensor, ConvState]:
        """Values and kernels apart, for sources that predict kernels from something else."""
        assert isinstance(state, ConvState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        if self.renormalise:  # a channel of ones tells which neighbours are there
            x_BtD = F.pad(x_BtD, (0, 1), value=1.0)
        near, past = taps(x_BtD, state.past, ahead=self.ahead, mask_BT=ctx.mask, starts_BT=begins)
        if self.renormalise:
            inside_BtK = torch.cat([n[..., -1:] for n in near], -1) > 0.5
            kernels = kernels.masked_fill(~inside_BtK[:, :, None], torch.finfo(kernels.dtype).min)
            near = [n[..., :-1] for n in near]
        y_BtD = weighed(near, self.dropout(kernels.softmax(-1) if self.softmax else kernels))
        return y_BtD if self.bias is None else y_BtD + self.bias, ConvState(past, segment)


class LightConv(SharedKernel):
    """`SharedKernel` with one learnt kernel [H, K] for all tokens: LightConv, eq. 2. D / H times fewer weights than a depthwise one."""

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        taps: int = 7,
        ahead: int = 0,
        softmax: bool = True,
        renormalise: bool = False,
        bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            dim, heads=heads, taps=taps, ahead=ahead, softmax=softmax, renormalise=renormalise, bias=bias, dropout=dropout
        )  # fmt: skip
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, taps)))

    def kernels(self, x_BtD: Tensor) -> Tensor:
        return self.weight


class DynamicConv(SharedKernel):
    """`SharedKernel` whose kernels are a linear function of the current token alone, w_t = W x_t: DynamicConv, section 4."""

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        taps: int = 7,
        ahead: int = 0,
        softmax: bool = True,
        renormalise: bool = False,
        bias: bool = False,
        kernel_bias: bool = False,
        query_dim: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            dim, heads=heads, taps=taps, ahead=ahead, softmax=softmax, renormalise=renormalise, bias=bias, dropout=dropout
        )  # fmt: skip
        self.kernel = nn.Linear(dim if query_dim is None else query_dim, heads * taps, bias=kernel_bias)
        nn.init.xavier_uniform_(self.kernel.weight)

    def kernels(self, x_BtD: Tensor) -> Tensor:
        return self.kernel(x_BtD).unflatten(-1, (self.heads, self.taps))
