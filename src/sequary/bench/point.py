"""One layer at one length, in a process of its own: `python -m sequary.bench.point SYSTEM LENGTH WIDTH ROWS` prints JSON.

Own processes, since the memory that matters is the most that a process ever held, and a layer that needs too much of it ends alone.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from sequary.bench.layers import layers, world
from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.laws.cost import Work

ENOUGH = 1.0
"""Seconds after which nothing is repeated."""
RUNS = 7
TOKENS = 50


def measured(name: str, length: int, width: int, rows: int) -> dict[str, Any]:
    """Milliseconds forward and both ways, megabytes beyond the start, share of the product rate; of recurrent layers the
    milliseconds of a token after `length` and the bytes of the state then."""
    (layer,) = layers([name])
    torch.manual_seed(0)
    mixer = layer.build(width, length)
    x, ctx = world(mixer, length, width, rows)
    x.requires_grad_()
    warm = x[:, :1].detach() if ctx.grid is None and mixer.length is None else x.detach()
    both(mixer, warm.requires_grad_(), ctx)
    before = peak()
    found: dict[str, Any] = {"tokens": x.shape[1], "params": sum(p.numel() for p in mixer.parameters())}
    found["both_ms"] = timed(lambda: both(mixer, x, ctx))
    found["memory_mb"] = peak() - before
    with torch.no_grad():
        found["forward_ms"] = timed(lambda: mixer(x, ctx))
    with Work() as work:
        both(mixer, x, ctx)
    found["products"] = work.products / 2
    if isinstance(mixer, Recurrent) and mixer.recurrent:
        found |= decoding(mixer.eval(), x.detach()[:1], ctx)
    return found


def both(mixer: Mixer, x: Tensor, ctx: Ctx) -> None:
    mixer(x, ctx).sum().backward()


def timed(run: Callable[[], object]) -> float:
    """Median milliseconds of a few runs."""
    times: list[float] = []
    while len(times) < RUNS and sum(times) < ENOUGH:
        began = perf_counter()
        run()
        times.append(perf_counter() - began)
    return 1000 * statistics.median(times)


@torch.no_grad()
def decoding(mixer: Recurrent, x_1TD: Tensor, ctx: Ctx) -> dict[str, float]:
    """A token at a time after the sequence, one row: median milliseconds, and bytes of the state."""
    _, state = mixer.step(x_1TD, mixer.init_state(1, ctx), ctx)
    token, times = x_1TD[:, -1:], list[float]()
    for _ in range(TOKENS):
        began = perf_counter()
        _, state = mixer.step(token, state, ctx)
        times.append(perf_counter() - began)
    return {"token_ms": 1000 * statistics.median(times), "state_bytes": state.bytes()}


def peak() -> float:
    """The most megabytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    name, *sizes = sys.argv[1:]
    print(json.dumps(measured(name, *map(int, sizes))))
