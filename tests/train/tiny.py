"""A model, an objective and a source so small that a thousand steps take a second."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sequary.core.contracts import Head, Model
from sequary.core.ctx import Tape
from sequary.core.recipe import Stage, Train
from sequary.core.values import Batch, Loss, Output
from sequary.ops.dropout import Dropout


class LinearHead(Head):
    degree = 2

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out = nn.Linear(dim, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(hidden)

    def loss(self, hidden: Tensor, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return (self(hidden) - target).square()


class Tiny(Model):
    """[B, T, 1] -> [B, T, D] with dropout, batch norm (running statistics) and a vector that must not decay."""

    def __init__(self, dim: int = 8) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(1, dim), nn.Tanh(), Dropout(0.2))
        self.norm = nn.BatchNorm1d(dim)
        self.heads = nn.ModuleDict({"main": LinearHead(dim)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        x_BTD = self.embed(batch.values)
        return Output(self.norm(x_BTD.flatten(0, 1)).unflatten(0, x_BTD.shape[:2]))


@dataclasses.dataclass(frozen=True)
class Denoise:
    """Predict the target from values that are blurred by `noise`, drawn from the run's generator."""

    noise: float = 0.1

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        assert batch.target is not None
        blur = torch.randn(batch.values.shape, generator=rng, dtype=batch.values.dtype)
        blurred = dataclasses.replace(batch, values=batch.values + self.noise * blur)
        return Loss(model.head.loss(model(blurred).hidden, batch.target).mean())


class Rows:
    """`rows` series of length 4 and their squares. `touch` is called with the number of the call, before each batch."""

    def __init__(self, rows: int = 37, *, seed: int = 0, touch: Callable[[int], None] = lambda n: None) -> None:
        self.x = torch.randn(rows, 4, 1, generator=torch.Generator().manual_seed(seed))
        self.touch, self.calls, self.asked = touch, 0, list[list[int]]()

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, rows: Tensor) -> Batch:
        self.calls += 1
        self.touch(self.calls)
        self.asked.append(rows.tolist())
        x = self.x[rows]
        return Batch(values=x, target=x.square())


def tiny(seed: int = 0) -> Tiny:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return Tiny()


STAGE = Stage(
    objective=Denoise(),
    train=Train(steps=40, batch=8, lr=1e-2, warmup=0.1, ema=0.9, patience=3, evaluate_every=7),
)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {n: t.clone() for n, t in model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)
