"""Softmax attention on a CPU, forward and backward: torch's fused form against the products written out, by type.

python benchmarks/attention.py
"""

from __future__ import annotations

from time import perf_counter

import torch

from sequary.ops.attend import attend
from sequary.ops.forms import form

SHAPES = ((224, 8, 12, 64), (32, 8, 7, 16), (32, 4, 64, 32), (8, 8, 256, 64))


def milliseconds(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> float:
    """Least of five, after one that is not timed."""
    q, k, v = (torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3))
    times: list[float] = []
    with form(name):
        for _ in range(6):
            began = perf_counter()
            torch.autograd.grad(attend(q, k, v).float().sum(), (q, k, v))
            times.append(1e3 * (perf_counter() - began))
    return min(times[1:])


def main() -> None:
    torch.set_num_threads(1)
    for shape in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            fused, products = (milliseconds(name, shape, dtype) for name in ("sdpa", "reference"))
            print(f"{shape!s:<20} {str(dtype)[6:]:<9} fused {fused:7.2f} ms  products {products:7.2f} ms", flush=True)


if __name__ == "__main__":
    main()
