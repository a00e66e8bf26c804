"""Recurrent ops against their rivals, forward and backward: milliseconds, median of runs taken in turn.

A Mamba layer (width 256, inner 512, state 16, batch 2) against the same layer on its plain loop and transformers' fallback, and
gated linear attention [2, T, 4, 64] against torch's causal attention and the plain loop.

python benchmarks/ops.py [--threads 2] [--runs 7] [--loops]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.mixers.ssm.mamba import Mamba
from sequary.ops.forms import form
from sequary.ops.linear_attend import linear_attend

LENGTHS = (512, 2048)
Run = Callable[[], object]


def mamba(length: int, loops: bool) -> dict[str, Run]:
    layer, x = Mamba(256), torch.randn(2, length, 256, requires_grad=True)
    runs: dict[str, Run] = {"Mamba layer": lambda: both(layer, x)}
    if loops:
        runs["Mamba layer, plain loop"] = lambda: plainly(lambda: both(layer, x))
        runs["Mamba layer, transformers"] = fallback(x)
    return runs


def fallback(x: Tensor) -> Run:
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    layer = MambaMixer(MambaConfig(hidden_size=256, state_size=16, num_hidden_layers=1), layer_idx=0).eval()
    return lambda: both(layer, x)


def gla(length: int, loops: bool) -> dict[str, Run]:
    q, k, v = (torch.randn(2, length, 4, 64, requires_grad=True) for _ in range(3))
    g = (F.logsigmoid(torch.randn(2, length, 4, 64)) / 16).requires_grad_()
    first = torch.zeros(2, 4, 64, 64)

    def decay() -> None:
        linear_attend(q, k, v, g, first)[0].sum().backward()

    def attention() -> None:
        heads_first = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        F.scaled_dot_product_attention(*heads_first, is_causal=True).sum().backward()

    runs: dict[str, Run] = {"gated linear attention": decay, "torch's attention": attention}
    return {**runs, "gated linear attention, plain loop": lambda: plainly(decay)} if loops else runs


def both(layer: nn.Module, x: Tensor) -> None:
    layer(x).sum().backward()


def plainly(run: Run) -> None:
    with form("reference"):
        run()


def timed(run: Run) -> float:
    began = perf_counter()
    run()
    return 1000 * (perf_counter() - began)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--threads", type=int, default=2)
    ask.add_argument("--runs", type=int, default=7)
    ask.add_argument(
        "--loops", action="store_true", help="the plain loops and transformers' fallback too, at 512 tokens: slow"
    )
    chosen = ask.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    print(
        f"{torch.__version__}, {chosen.threads} threads, median (least) of {chosen.runs} runs, ms, forward and backward"
    )
    for length in LENGTHS:
        loops = chosen.loops and length == LENGTHS[0]
        runs = {**mamba(length, loops), **gla(length, loops)}
        times = {name: list[float]() for name in runs}
        for turn in range(chosen.runs + 1):
            for name, run in runs.items():
                took = timed(run)
                if turn:  # the first run warms up
                    times[name].append(took)
        for name, found in times.items():
            print(f"{length:6} tokens  {name:36}{statistics.median(found):10.1f} ({min(found):.1f})")


if __name__ == "__main__":
    main()
