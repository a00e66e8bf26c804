"""The Legendre memory unit: a sliding window of one signal, kept as its first Legendre coefficients.

Voelker, Kajić and Eliasmith, Legendre Memory Units (NeurIPS 2019); Chilkuri and Eliasmith, Parallelizing Legendre Memory Unit Training
(arXiv 2102.11417); as token mixer in LMUFormer (arXiv 2402.04882).
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.norms import BatchNorm, Norm
from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.ops.causal_conv import starts
from sequary.ops.impulse import impulse
from sequary.ops.long_conv import long_conv


@dataclasses.dataclass(frozen=True, slots=True)
class LegendreState(State):
    """The memory [B, M], and the segment [B] of the last real token."""

    memory: Tensor
    segment: Tensor


def window_system(memory: int, window: float) -> tuple[Tensor, Tensor]:
    """(A [M, M], b [M]) of m_t = A m_{t-1} + b u_t in float64: the last `window` inputs, held constant within each step.

    θ ṁ = A' m + b' u with A'_ij = (2i + 1) (−1 if i < j, else (−1)^{i−j+1}) and b'_i = (2i + 1) (−1)^i.
    """
    order = torch.arange(memory, dtype=torch.float64)
    rate, gap = (2 * order[:, None] + 1) / window, order[:, None] - order
    signs = torch.where(gap < 0, -1.0, 1 - 2 * ((gap + 1) % 2))
    joint = torch.zeros(memory + 1, memory + 1, dtype=torch.float64)
    joint[:memory, :memory], joint[:memory, memory:] = rate * signs, rate * (1 - 2 * (order % 2))[:, None]
    stepped = torch.matrix_exp(joint)
    return stepped[:memory, :memory], stepped[:memory, memory]


class LegendreMemory(nn.Module):
    """u_t = ReLU(w·x_t + c), one number a token;  m_t = A m_{t-1} + b u_t, M = `memory` coefficients of the last `window` of them;
    h_t = ReLU(W [m_t; x_t] + d), [B, T, `hidden`]. A and b are fixed."""

    A: Tensor
    b: Tensor

    def __init__(self, dim: int, *, hidden: int, memory: int, window: float) -> None:
        super().__init__()
        self.signal, self.read = nn.Linear(dim, 1), nn.Linear(memory + dim, hidden)
        for name, value in zip("Ab", window_system(memory, window), strict=True):
            self.register_buffer(name, value.to(self.read.weight.dtype))

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Whole rows, by convolution with the system's answer to an impulse."""
        return self.heard(long_conv(self.told(x_BTD), impulse(self.A, self.b, x_BTD.shape[1])), x_BTD)

    def told(self, x_BTD: Tensor) -> Tensor:
        return F.relu(self.signal(x_BTD))

    def heard(self, m_BTM: Tensor, x_BTD: Tensor) -> Tensor:
        return F.relu(self.read(torch.cat((m_BTM, x_BTD), -1)))

    def remember(self, u_Bt1: Tensor, m_BM: Tensor, mask_Bt: Tensor | None, starts_Bt: Tensor | None) -> Tensor:
        """[B, t, M]: the memory after each token; padding leaves it as it is, a new segment starts from zero."""
        found: list[Tensor] = []
        for t in range(u_Bt1.shape[1]):
            if starts_Bt is not None:
                m_BM = m_BM.masked_fill(starts_Bt[:, t, None], 0)
            after_BM = m_BM @ self.A.mT + u_Bt1[:, t] * self.b
            m_BM = after_BM if mask_Bt is None else torch.where(mask_Bt[:, t, None], after_BM, m_BM)
            found.append(m_BM)
        return torch.stack(found, 1)


class LMU(Recurrent):
    """y = norm(W h + c), h the `LegendreMemory` of width dim. `memory` None: dim coefficients."""

    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        memory: int | None = None,
        window: float = 128,
        norm: Part[Norm] = part(BatchNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        self.memory = LegendreMemory(dim, hidden=dim, memory=dim if memory is None else memory, window=window)
        self.out = nn.Linear(dim, dim)
        self.norm = norm.build(Place.here(place, dim))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        if ctx.mask is not None or ctx.segments is not None:
            return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]
        return self.norm(self.out(self.memory(x_BTD)), ctx)

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> LegendreState:
        like = self.out.weight
        return LegendreState(
            like.new_zeros(batch, len(self.memory.b)), like.new_full((batch,), -1, dtype=torch.long)
        )  # fmt: skip

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, LegendreState]:
        assert isinstance(state, LegendreState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        m = self.memory.remember(self.memory.told(x_BtD), state.memory, ctx.mask, begins)
        return self.norm(self.out(self.memory.heard(m, x_BtD)), ctx), LegendreState(m[:, -1], segment)
