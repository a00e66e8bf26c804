"""Spiking neurons over a sequence, and a layer of them behind a linear map with memory.

Hammouamri, Khalfaoui-Hassani and Masquelier, Learning Delays in Spiking Neural Networks (arXiv 2306.17670).
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from sequary.blocks.norms import BatchNorm, Norm
from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, States
from sequary.mixers.conv.delays import DelayedConv
from sequary.ops.causal_conv import starts
from sequary.ops.dropout import Dropout
from sequary.ops.spikes import integrate_fire


@dataclasses.dataclass(frozen=True, slots=True)
class PotentialState(State):
    """The potentials [B, D], in float32 at least, and the segment [B] of the last real token."""

    potential: Tensor
    segment: Tensor


class Neurons(Recurrent):
    """An interface: u_t = (1 − 1/τ) v_{t−1} + x_t,  s_t = 1 where u_t >= `threshold`, else 0,  v_t = u_t (1 − s_t), one a feature.

    `alpha`: how steep the surrogate of the spike's derivative is (ops/spikes.py).
    """

    cost = 1.0

    def __init__(self, dim: int, *, tau: float = 2.0, threshold: float = 1.0, alpha: float = 5.0) -> None:
        super().__init__()
        if tau < 1:
            raise ValueError(f"tau={tau}: 1 − 1/τ of a potential is kept; use 1 or more")
        self.dim, self.threshold, self.alpha = dim, threshold, alpha
        self.keep: Tensor
        self.register_buffer("keep", torch.tensor(1 - 1 / tau))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.step(x_BTD, self.init_state(x_BTD.shape[0]), ctx)[0]

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> PotentialState:
        wide = torch.promote_types(self.keep.dtype, torch.float32)
        rest = self.keep.new_zeros(batch, self.dim, dtype=wide)
        return PotentialState(rest, self.keep.new_full((batch,), -1, dtype=torch.long))

    def run(self, x_BtD: Tensor, state: State, ctx: Ctx) -> tuple[Tensor, Tensor, PotentialState]:
        """(spikes, potentials, the state after them)."""
        assert isinstance(state, PotentialState)
        begins, segment = starts(ctx.segments, ctx.mask, state.segment)
        x, keep_Bt = x_BtD.to(state.potential.dtype), self.keep.to(state.potential.dtype).expand(x_BtD.shape[:2])
        if ctx.mask is not None:
            x, keep_Bt = x * ctx.mask[..., None], torch.where(ctx.mask, keep_Bt, 1)
        if begins is not None:
            keep_Bt = keep_Bt.masked_fill(begins, 0)
        y, v = integrate_fire(x, keep_Bt, state.potential, threshold=self.threshold, alpha=self.alpha)
        return y.to(x_BtD.dtype), v.to(x_BtD.dtype), PotentialState(v[:, -1], segment)


class SpikingNeurons(Neurons):
    """y_t = s_t."""

    smooth = False

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, PotentialState]:
        y_BtD, _, state = self.run(x_BtD, state, ctx)
        return y_BtD, state


class Potentials(Neurons):
    """y_t = v_t of neurons that never fire: what a readout adds up."""

    def __init__(self, dim: int, *, tau: float = 2.0) -> None:
        super().__init__(dim, tau=tau, threshold=float("inf"))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, PotentialState]:
        _, v_BtD, state = self.run(x_BtD, state, ctx)
        return v_BtD, state


class NeuronLayer(Recurrent):
    """y = dropout(neurons(norm(conv x))): no residual, since a spike is all that a neuron says.

    `inputs`: the width of x, dim unless given.
    """

    tiny = {"conv": part(DelayedConv, longest=3)}
    exempt = {"half": "y = 1 where u >= θ, else 0: where u is within rounding of θ, bfloat16 says the other of the two"}
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        conv: Part[Recurrent] = part(DelayedConv),
        norm: Part[Norm] = part(BatchNorm),
        neurons: Part[Neurons] = part(SpikingNeurons),
        dropout: float = 0.0,
        inputs: int | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.conv = conv.but(inputs=inputs).build(here)
        self.norm, self.neurons = norm.build(here), neurons.build(here)
        self.dropout = Dropout(dropout)
        self.smooth = self.conv.smooth and self.neurons.smooth

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.dropout(self.neurons(self.norm(self.conv(x_BTD, ctx), ctx), ctx))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> States:
        return States((self.conv.init_state(batch, ctx), self.neurons.init_state(batch, ctx)))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, States]:
        assert isinstance(state, States)
        x_BtD, conv = self.conv.step(x_BtD, state.each[0], ctx)
        y_BtD, neurons = self.neurons.step(self.norm(x_BtD, ctx), state.each[1], ctx)
        return self.dropout(y_BtD), States((conv, neurons))
