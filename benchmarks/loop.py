"""What the training loop costs beside the model: microseconds a step, with what is model, optimiser and data taken out.

python benchmarks/loop.py
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.ctx import Tape
from sequary.core.recipe import Stage, Train
from sequary.core.values import Batch, Loss, Output
from sequary.train.budget import choose
from sequary.train.learning import learning
from sequary.train.run import Run
from sequary.train.seeds import forked

CPU = torch.device("cpu")


class Layers(Model):
    def __init__(self, dim: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(m for _ in range(depth) for m in (nn.Linear(dim, dim), nn.GELU())))

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        return Output(self.layers(batch.values))


@dataclasses.dataclass(frozen=True)
class Reproduce:
    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        return Loss((model(batch).hidden - batch.values).square().mean())


class Noise:
    def __init__(self, rows: int, length: int, dim: int) -> None:
        self.x = torch.randn(rows, length, dim, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, rows: Tensor) -> Batch:
        return Batch(values=self.x[rows])


class Clock:
    """Adds up what is spent inside the functions that it wraps."""

    def __init__(self) -> None:
        self.inside = 0.0

    def wrap(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(*args: Any) -> Any:
            began = perf_counter()
            try:
                return inner(*args)
            finally:
                self.inside += perf_counter() - began

        return outer


def overhead(dim: int, depth: int, ema: float | None) -> tuple[float, float]:
    """(microseconds of the loop alone, of the whole step): medians over twenty stretches of fifty steps."""
    torch.manual_seed(0)
    model, source, clock = Layers(dim, depth), Noise(512, 8, dim), Clock()
    stage = Stage(objective=Reproduce(), train=Train(steps=1000, batch=8, ema=ema))
    alone, whole = list[float](), list[float]()
    with forked(CPU), learning(model, "model"):
        chosen = choose(model, stage, source, seed=0)
        run = Run(model, stage, source, seed=0, device=CPU, hooks=(), chosen=chosen)
        run._compute = clock.wrap(run._compute)
        run.optimiser.step = clock.wrap(run.optimiser.step)
        source.batch = clock.wrap(source.batch)
        for _ in range(20):
            clock.inside, began = 0.0, perf_counter()
            for _ in range(5):
                for _ in range(10):
                    run.advance()
                run.settle()
            spent = perf_counter() - began
            whole.append(spent / 50 * 1e6)
            alone.append((spent - clock.inside) / 50 * 1e6)
    return statistics.median(alone), statistics.median(whole)


def main() -> None:
    print(f"{torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'width':>6}{'tensors':>9}{'ema':>6}{'loop µs':>10}{'step µs':>10}")
    for dim, depth, ema in ((8, 2, None), (8, 2, 0.99), (32, 25, None), (32, 25, 0.99)):
        alone, whole = overhead(dim, depth, ema)
        print(f"{dim:6}{2 * depth:9}{ema or '-':>6}{alone:10.0f}{whole:10.0f}")
    for dim in (256, 512, 1024):
        stage = Stage(objective=Reproduce(), train=Train(batch=32))
        began = perf_counter()
        chosen = choose(Layers(dim, 4), stage, Noise(128, 64, dim), seed=0)
        times = ", ".join(f"{name} {1000 * s:.1f} ms" for name, s in chosen.measured.items())
        print(f"width {dim}: {chosen.precision} ({times}; measured in {perf_counter() - began:.1f} s)")


if __name__ == "__main__":
    main()
