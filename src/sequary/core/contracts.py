"""The contracts. Interfaces only: everything else in sequary is a leaf that meets one of these, and the laws check it.

Longer than 200 lines because the contracts are read together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from sequary.core.ctx import Ctx, Tape
from sequary.core.state import State
from sequary.core.values import Batch, Edited, Levels, Loss, Output, Plan, Reading, Sample


class Member(nn.Module):
    """What the laws read of every part: how to build a tiny one, and why a law may not hold."""

    tiny: ClassVar[Mapping[str, Any]] = {}
    """Arguments under which the laws build it at width 16 (empty: buildable from dim alone)."""
    exempt: ClassVar[Mapping[str, str]] = {}
    """Law -> the equation that forbids it. Runs as a strict expected failure."""


class Mixer(Member):
    """[B, T, D] -> [B, T, D]: how tokens meet. Blocks and feed-forwards are mixers too.

    Each declaration is tested both ways: what is declared must hold, what is denied must be seen to fail.
    Composites set the ones that depend on their parts on the instance.
    """

    causal: bool = False
    """Output t depends on inputs 0..t only."""
    rowwise: bool = True
    """A row's output depends on that row alone (in eval mode)."""
    smooth: bool = True
    """Differentiable, so that finite differences agree."""
    pads: bool = True
    """Reads `ctx.mask`: padding left or right of the real tokens changes nothing at them."""
    packs: bool = True
    """Reads `ctx.segments`: packed rows equal separate ones."""
    orders: bool = False
    """Reads `ctx.order`."""
    dims: tuple[int, ...] = ()
    """Numbers of grid axes that it needs in `ctx.grid`; empty: any sequence."""
    length: int | None = None
    """The one length that it is built for; None: any."""
    remembers: bool = False
    """Needs `ctx.memory`."""
    conditioned: bool = False
    """Needs `ctx.cond`."""
    cost: float = 2.0
    """Exponent of its time in the length."""
    recurrent: bool = False
    """Has `init_state` and `step`."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        raise NotImplementedError


class Recurrent(Mixer):
    """A causal mixer with a second form, equal to the first: a state and steps of any number of tokens."""

    causal = True
    recurrent = True
    grows: bool = False
    """The state grows with the length (a cache)."""

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> State:
        """The state before the first token, on the device and in the dtype of the parameters. `ctx` may hold memory."""
        raise NotImplementedError

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        """The next t >= 1 tokens: a token, a chunk, or a group of an order. `ctx.mask` [B, t] as in `forward`."""
        raise NotImplementedError


class Tokens(Member):
    """Raw data <-> sequence, always with its inverse. `encode(values)` gives [B, T, D] embeddings or [B, T] codes."""

    def encode(self, values: Tensor) -> Tensor:
        raise NotImplementedError

    def decode(self, tokens: Tensor) -> Tensor:
        raise NotImplementedError


class Backbone(Member):
    """How blocks become a network: [B, T, D] -> levels, finest first."""

    causal: bool = False
    recurrent: bool = False
    dims: tuple[int, ...] = ()

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        raise NotImplementedError

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> State:
        raise NotImplementedError(f"{type(self).__name__} has no recurrent form")

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        raise NotImplementedError(f"{type(self).__name__} has no recurrent form")


class Head(Member):
    """What a token predicts, its loss and its sample. `hidden` is [..., D]; the leading axes are the head's own affair."""

    degree: ClassVar[int | None] = None
    """For heads over real values: scaling data by s scales the loss by s**degree (2 for squared, 1 for absolute error)."""

    def forward(self, hidden: Tensor) -> Tensor:
        """The parameters of the prediction: logits, means, quantiles …"""
        raise NotImplementedError

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Not reduced: the shape of `target` for element-wise heads, one value a token for those over vectors. Nats or squared units."""
        raise NotImplementedError

    def sample(self, hidden: Tensor, rng: torch.Generator, temperature: float = 1.0) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} predicts points and cannot sample")

    def mean(self, hidden: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no mean")

    def quantiles(self, hidden: Tensor, levels: Sequence[float]) -> Tensor:
        """[..., Q]."""
        raise NotImplementedError(f"{type(self).__name__} has no quantiles")


class Model(Member):
    """Tokens + backbone + heads. No sampling inside."""

    heads: nn.ModuleDict
    """Named heads; the first one is the model's own ("main"), others predict further ahead or help training."""

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        raise NotImplementedError

    def init_state(self, batch: Batch) -> State:
        """The state before the first token; `batch` gives its size and what conditions it (memory, cond)."""
        raise NotImplementedError(f"{type(self).__name__} has no recurrent form")

    def step(self, values: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Output, State]:
        """The next tokens; the hidden of `forward` at these positions."""
        raise NotImplementedError(f"{type(self).__name__} has no recurrent form")

    @property
    def head(self) -> Head:
        main = self.heads["main"]
        assert isinstance(main, Head)
        return main


class Forecasts(Model):
    """A model over [B, L, C] windows: its own loss over the horizon [B, H, C] and its forecasts, in the data's units."""

    def loss(self, output: Output, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """[B, H, C], not reduced."""
        raise NotImplementedError

    def mean(self, output: Output) -> Tensor:
        """[B, H, C]."""
        raise NotImplementedError

    def quantiles(self, output: Output, levels: Sequence[float]) -> Tensor:
        """[B, H, C, Q], for models that have them."""
        raise NotImplementedError(f"{type(self).__name__} has no quantiles")


class Order(Protocol):
    """Which tokens are predicted when; shared by training and decoding, so that the two cannot disagree."""

    def plan(self, grid: tuple[int, ...], rng: torch.Generator, progress: float = 1.0) -> Plan:
        """`progress` in [0, 1]: how far training is; 1 when decoding, whose plan must be in the support of training's."""
        ...


class Noise(Protocol):
    """The path from data (t = 0) to noise (t = 1) and back."""

    def corrupt(self, x: Tensor, t: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x at time t, the noise that was added); t [B] in [0, 1]."""
        ...

    def steps(self, n: int) -> Tensor:
        """[n + 1] times from 1 to 0 at which a sampler of n calls evaluates."""
        ...


class Objective(Protocol):
    """Wraps a model into a loss. May rewrite the batch (masking, corruption) and may call a decoder."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss: ...


class Decoder(Protocol):
    """Wraps a model into a sampler. May hold several models and go back to an earlier state."""

    def __call__(self, model: Model, prompt: Batch, rng: torch.Generator) -> Sample: ...


class Edit(Protocol):
    """A model in, a new model out; the one that came in stays as it was."""

    def __call__(self, model: Model, recipe: Any, calibration: Sequence[Batch], rng: torch.Generator) -> Edited: ...


class Probe(Protocol):
    """A model in, a reading out."""

    def __call__(self, model: Model, batches: Sequence[Batch]) -> Reading: ...
