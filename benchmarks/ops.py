"""Recurrent ops against their rivals, forward and backward: milliseconds, median of runs taken in turn.

A Mamba layer (width 256, inner 512, state 16, batch 2) against the same layer on its plain loop and transformers' fallback; a Mamba-2
layer of the same width against transformers'; on [2, T, 4, 64] linear attention, with a rate a head, with a rate for each key entry, and
the delta rule, against torch's causal attention, transformers' chunked gated delta rule and the plain loops.

python benchmarks/ops.py [--threads 2] [--runs 7] [--lengths 512,2048] [--loops]
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
from sequary.mixers.ssm.mamba2 import Mamba2
from sequary.ops.delta_rule import delta_rule
from sequary.ops.forms import form
from sequary.ops.linear_attend import linear_attend

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


def mamba2(length: int) -> dict[str, Run]:
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    x = torch.randn(2, length, 256, requires_grad=True)
    config = Mamba2Config(hidden_size=256, state_size=64, num_heads=8, head_dim=64, n_groups=1, num_hidden_layers=1)
    ours, theirs = Mamba2(256, heads=8, states=64), Mamba2Mixer(config, layer_idx=0).eval()
    return {"Mamba-2 layer": lambda: both(ours, x), "Mamba-2 layer, transformers": lambda: both(theirs, x)}


def attention(length: int, loops: bool) -> dict[str, Run]:
    from transformers.models.qwen3_next.modeling_qwen3_next import torch_chunk_gated_delta_rule

    q, k, v = (torch.randn(2, length, 4, 64, requires_grad=True) for _ in range(3))
    rates = {width: (F.logsigmoid(torch.randn(2, length, 4, width)) / 16).requires_grad_() for width in (1, 64)}
    beta = torch.rand(2, length, 4).requires_grad_()
    first = torch.zeros(2, 4, 64, 64)

    def softmax() -> None:
        heads_first = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        F.scaled_dot_product_attention(*heads_first, is_causal=True).sum().backward()

    def linear(g: Tensor | None) -> None:
        linear_attend(q, k, v, g, first)[0].sum().backward()

    def delta() -> None:
        keys, strength = F.normalize(k, dim=-1), beta[..., None]
        delta_rule(q, keys, strength * v, strength * keys, rates[1], first)[0].sum().backward()

    def theirs() -> None:
        out = torch_chunk_gated_delta_rule(q, F.normalize(k, dim=-1), v, g=rates[1][..., 0], beta=beta)
        out[0].sum().backward()

    runs: dict[str, Run] = {
        "torch's attention": softmax,
        "linear attention": lambda: linear(None),
        "a rate a head": lambda: linear(rates[1]),
        "a rate for each key entry (GLA)": lambda: linear(rates[64]),
        "gated delta rule": delta,
        "gated delta rule, transformers": theirs,
    }
    return {**runs, "GLA, plain loop": lambda: plainly(lambda: linear(rates[64]))} if loops else runs


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
    ask.add_argument("--lengths", default="512,2048")
    ask.add_argument(
        "--loops", action="store_true", help="the plain loops and transformers' fallback too, at 512 tokens: slow"
    )
    chosen = ask.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    print(
        f"{torch.__version__}, {chosen.threads} threads, median (least) of {chosen.runs} runs, ms, forward and backward"
    )
    lengths = [int(word) for word in chosen.lengths.split(",")]
    for length in lengths:
        loops = chosen.loops and length == lengths[0]
        runs = {**mamba(length, loops), **mamba2(length), **attention(length, loops)}
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
