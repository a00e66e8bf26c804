"""Training a language model of 6 layers x 384 on Shakespeare's bytes: tokens a second against transformers' GPT-2.

    python benchmarks/language.py [--threads 2] [--rounds 4] [--profile]

A step is forward, backward, clipping and AdamW (fused on both sides) on 8 rows of 256 bytes. Width, depth, heads and products are the
same, parameters within 2 %. No dropout on either side, since our recipe has none; GPT-2 is also shown with its own dropout of 0.1.
GPT-2 runs as its Trainer would run it: torch's fused attention (its default), bfloat16 by autocast. All take turns in one process, a
few steps each, ours with freed memory kept as in our loop; the first step of a turn is not counted, and a figure is the median of the
others. The ratio to reach is 1.3, each at its better precision.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile
from transformers import GPT2Config, GPT2LMHeadModel

from sequary.claims.forecast_gain import shared
from sequary.core.catalogue import load
from sequary.tasks.language.train import TextWindows, prepare
from sequary.train.manifest import Chosen
from sequary.train.reuse import kept
from sequary.train.run import Run

CONTEXT, ROWS, STEPS = 256, 8, 3
BOUND = 1.3
Step = Callable[[], None]
Precision = Literal["full", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("full", "bfloat16")


def ours(text: TextWindows, precision: Precision) -> tuple[Step, int]:
    found = load("gpt")
    assert found.recipe is not None
    recipe = prepare(found.recipe.but(**found.sizes["10m"], stages__0__train__batch=ROWS), context=CONTEXT)
    torch.manual_seed(0)
    model = recipe.build().train()
    chosen = Chosen(precision=precision, steps=10_000, batch=ROWS, form="")
    run = Run(model, recipe.stages[0], text, seed=0, device=torch.device("cpu"), hooks=(), chosen=chosen)

    def step() -> None:
        run.advance()
        run.settle()

    return step, sum(p.numel() for p in model.parameters())


def gpt2(text: TextWindows, precision: Precision, dropout: float) -> tuple[Step, int]:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=256,
        n_positions=CONTEXT,
        n_embd=384,
        n_layer=6,
        n_head=6,
        use_cache=False,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).train()
    weights = list(model.parameters())
    optimiser = torch.optim.AdamW(weights, lr=1e-3, fused=True)
    rng = torch.Generator().manual_seed(0)

    def step() -> None:
        batch = text.batch(torch.randint(len(text), (ROWS,), generator=rng))
        assert batch.target is not None
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(batch.values).logits
            loss = F.cross_entropy(logits.flatten(0, 1), batch.target.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        loss.item()

    return step, sum(p.numel() for p in weights)


def turn(step: Step, world: AbstractContextManager[None]) -> list[float]:
    """Seconds of each step but the first."""
    found = list[float]()
    with world:
        for _ in range(1 + STEPS):
            began = perf_counter()
            step()
            found.append(perf_counter() - began)
    return found[1:]


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--threads", type=int, default=2)
    ask.add_argument("--rounds", type=int, default=4)
    ask.add_argument("--profile", action="store_true", help="what our steps are spent on, instead")
    asked = ask.parse_args()
    torch.set_num_threads(asked.threads)
    text = TextWindows(np.frombuffer(shared("shakespeare.txt").read_bytes(), np.uint8), context=CONTEXT)
    if asked.profile:
        for precision in PRECISIONS:
            step, _ = ours(text, precision)
            step()
            with profile(activities=[ProfilerActivity.CPU]) as found:
                step()
            print(precision)
            print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=45))
        return
    arms = {("sequary gpt", p): ours(text, p) for p in PRECISIONS}
    arms |= {("GPT-2", p): gpt2(text, p, 0.0) for p in PRECISIONS}
    arms |= {("GPT-2, dropout 0.1", p): gpt2(text, p, 0.1) for p in PRECISIONS}
    times: dict[tuple[str, str], list[float]] = {arm: [] for arm in arms}
    for _ in range(asked.rounds):
        for arm, (step, _) in arms.items():
            times[arm] += turn(step, kept() if arm[0] == "sequary gpt" else nullcontext())
    print(f"torch {torch.__version__}, {asked.threads} threads, median of {asked.rounds} turns of {STEPS} steps")
    rates = {arm: ROWS * CONTEXT / statistics.median(found) for arm, found in times.items()}
    for (name, precision), rate in rates.items():
        print(f"{name:<20} {precision:<9} {arms[name, precision][1] / 1e6:6.2f} M parameters {rate:7.0f} tokens/s")
    best = {name: max(rate for (other, _), rate in rates.items() if other == name) for name, _ in arms}
    for rival in ("GPT-2", "GPT-2, dropout 0.1"):
        print(f"ratio to {rival}: {best['sequary gpt'] / best[rival]:.2f} (to reach: {BOUND})")


if __name__ == "__main__":
    main()
