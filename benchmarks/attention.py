"""Softmax attention on a CPU, forward and backward, by type: torch's fused form against the products written out; then causal, where
the products go by blocks of queries.

python benchmarks/attention.py
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor

from sequary.ops.attend import attend
from sequary.ops.causal_attend import causal_attend
from sequary.ops.forms import form

SHAPES = (
    (224, 8, 12, 64),
    (32, 8, 7, 16),
    (896, 4, 42, 4),
    (64, 4, 49, 16),
    (64, 4, 20, 64),
    (32, 4, 64, 32),
    (8, 8, 256, 64),
)
CAUSAL = ((32, 4, 64, 32), (8, 6, 256, 64), (4, 6, 512, 64))
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def milliseconds(op: Attend, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> float:
    """Least of five, after one that is not timed."""
    q, k, v = (torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3))
    times: list[float] = []
    with form(name):
        for _ in range(6):
            began = perf_counter()
            torch.autograd.grad(op(q, k, v).float().sum(), (q, k, v))
            times.append(1e3 * (perf_counter() - began))
    return min(times[1:])


def main() -> None:
    torch.set_num_threads(1)
    for shape in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            fused, products = (milliseconds(attend, name, shape, dtype) for name in ("sdpa", "reference"))
            print(f"{shape!s:<20} {str(dtype)[6:]:<9} fused {fused:7.2f} ms  products {products:7.2f} ms", flush=True)
    for shape in CAUSAL:
        for dtype in (torch.float32, torch.bfloat16):
            fused, blocks = (milliseconds(causal_attend, name, shape, dtype) for name in ("sdpa", "products"))
            print(
                f"causal {shape!s:<20} {str(dtype)[6:]:<9} fused {fused:7.2f} ms  blocks {blocks:7.2f} ms", flush=True
            )


if __name__ == "__main__":
    main()
