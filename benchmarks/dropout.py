"""Dropout from 16-bit numbers against torch's: milliseconds for 5.5 million values, median of eleven runs in turn.

python benchmarks/dropout.py
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor, nn

from sequary.ops.dropout import Dropout

N, RUNS = 5_500_000, 11


def timed(run: Callable[[], object]) -> float:
    began = perf_counter()
    run()
    return 1000 * (perf_counter() - began)


def main() -> None:
    x = torch.randn(N, requires_grad=True, generator=torch.Generator().manual_seed(0))
    up = torch.ones(N)

    def both(module: nn.Module) -> Tensor:
        return torch.autograd.grad(module(x), x, up)[0]

    modules = {"torch.nn.Dropout": nn.Dropout(0.1), "sequary Dropout": Dropout(0.1)}
    forward = {name: list[float]() for name in modules}
    passes = {name: list[float]() for name in modules}
    for _ in range(RUNS):
        for name, module in modules.items():
            forward[name].append(timed(lambda module=module: module(x)))
            passes[name].append(timed(lambda module=module: both(module)))
    print(f"{torch.__version__}, {torch.get_num_threads()} threads, {N:,} values")
    print(f"{'':18}{'forward ms':>12}{'both ms':>12}")
    for name in modules:
        print(f"{name:18}{statistics.median(forward[name]):12.1f}{statistics.median(passes[name]):12.1f}")


if __name__ == "__main__":
    main()
