"""Tokens a second of a decoder of 6 layers x 384, against transformers' `generate` and against the reading of the weights alone.

    python benchmarks/decoding.py [--threads 2] [--rounds 5] [--new 128] [--batches 1 8]

Greedy, a prompt of 16 bytes, random weights, float32. All take turns in one process; a figure is the median round. `products` are the
models' matrix products with one row and nothing else: what no decoder in this precision beats at batch 1; then the same with weights
of int8 and a scale a row (torch's kernel, activations in bfloat16). `compiled`: steps as native code (sequary/deploy), in float32. A
recurrent mixer's step has the same cost at every position: beside each, the rate of the last eighth over that of the first.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, MambaConfig, MambaForCausalLM

from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.ctx import Ctx
from sequary.core.values import Batch
from sequary.decode.choice import Likeliest
from sequary.decode.stepwise import Stepwise
from sequary.deploy.native import Native
from sequary.tasks.language.train import prepare

PROMPT = 16
SIZE = {"dim": 384, "model__backbone__depth": 6}
HEADS = {"model__backbone__blocks__0__parts__0__heads": 6}
Run = Callable[[int], None]


def ours(slug: str, rows: int, **sizes: Any) -> tuple[Model, Run]:
    recipe = load(slug).recipe
    assert recipe is not None
    torch.manual_seed(0)
    model = prepare(recipe.but(**SIZE, **sizes), context=512).build().eval()
    assert isinstance(model, Model)
    prompt = Batch(values=torch.randint(256, (rows, PROMPT)))
    return model, lambda new: (Stepwise(new=new, choice=Likeliest())(model, prompt, torch.Generator()), None)[1]


def native(model: Model, rows: int, new: int) -> Run:
    """Compiled here, or found where it was compiled before."""
    fast = Native(model, places=PROMPT + new).eval()
    prompt = Batch(values=torch.randint(256, (rows, PROMPT)))
    return lambda new: (Stepwise(new=new, choice=Likeliest())(fast, prompt, torch.Generator()), None)[1]


def theirs(kind: Any, config: Any, rows: int) -> Run:
    torch.manual_seed(0)
    model = kind(config).eval()
    ids = torch.randint(256, (rows, PROMPT))
    settings = {"attention_mask": torch.ones_like(ids), "do_sample": False}
    return lambda new: model.generate(ids, max_new_tokens=new, min_new_tokens=new, **settings)


def large(model: Model) -> list[Tensor]:
    return [w.detach() for w in model.parameters() if w.dim() == 2 and w.numel() >= 256 * 384]


def products(model: Model) -> Run:
    weights = large(model)
    rows = {w.shape[1]: torch.randn(w.shape[1]) for w in weights}

    @torch.no_grad()
    def run(new: int) -> None:
        for _ in range(new):
            for w in weights:
                torch.mv(w, rows[w.shape[1]])

    return run


def packed(model: Model) -> Run:
    weights = large(model)
    scales = [w.abs().amax(1) / 127 for w in weights]
    whole = [(w / s[:, None]).round().to(torch.int8) for w, s in zip(weights, scales, strict=True)]
    layers = [(w, s.bfloat16(), torch.randn(1, w.shape[1]).bfloat16()) for w, s in zip(whole, scales, strict=True)]

    @torch.no_grad()
    def run(new: int) -> None:
        for _ in range(new):
            for w, s, row in layers:
                torch.ops.aten._weight_int8pack_mm(row, w, s)

    return run


@torch.no_grad()
def slowing(model: Model, rows: int, new: int) -> float:
    """Seconds of the last eighth of `new` steps over those of the first."""
    token: Tensor = torch.randint(256, (rows, 1))
    state, times = model.init_state(Batch(values=token)), list[float]()
    for _ in range(new):
        began = perf_counter()
        _, state = model.step(token, state, Ctx())
        times.append(perf_counter() - began)
    return statistics.median(times[-new // 8 :]) / statistics.median(times[: new // 8])


def seconds(run: Run, new: int) -> float:
    began = perf_counter()
    run(new)
    return perf_counter() - began


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--threads", type=int, default=2)
    ask.add_argument("--rounds", type=int, default=5)
    ask.add_argument("--new", type=int, default=128)
    ask.add_argument("--batches", type=int, nargs="*", default=(1, 8))
    asked = ask.parse_args()
    torch.set_num_threads(asked.threads)
    marks = {"bos_token_id": 0, "eos_token_id": None, "pad_token_id": 0}
    gpt2 = GPT2Config(vocab_size=256, n_positions=512, n_embd=384, n_layer=6, n_head=6, **marks)
    mamba = MambaConfig(vocab_size=256, hidden_size=384, num_hidden_layers=6, **marks)
    print(f"torch {torch.__version__}, {asked.threads} threads, median of {asked.rounds} rounds of {asked.new} in turn")
    for rows in asked.batches:
        mine = {"gpt": ours("gpt", rows, **HEADS), "mamba": ours("mamba", rows)}
        runs = {slug: run for slug, (_, run) in mine.items()} | {
            "GPT-2, generate": theirs(GPT2LMHeadModel, gpt2, rows),
            "Mamba, generate": theirs(MambaForCausalLM, mamba, rows),
        }
        runs |= {f"compiled {slug}": native(model, rows, asked.new) for slug, (model, _) in mine.items()}
        if rows == 1:
            runs |= {f"products of {slug}": products(model) for slug, (model, _) in mine.items()}
            runs |= {f"int8 products of {slug}": packed(model) for slug, (model, _) in mine.items()}
        times: dict[str, list[float]] = {name: [] for name in runs}
        for count in range(-1, asked.rounds):  # the first round warms up
            for name, run in runs.items():
                took = seconds(run, asked.new)
                times[name] += [took] if count >= 0 else []
        rates = {name: rows * asked.new / statistics.median(found) for name, found in times.items()}
        for name, rate in rates.items():
            print(f"batch {rows}  {name:<22} {rate:7.0f} tokens/s")
        for slug, rival in (("gpt", "GPT-2, generate"), ("mamba", "Mamba, generate")):
            share = f", {rates[slug] / rates[f'products of {slug}']:.2f} of the products alone" if rows == 1 else ""
            late = slowing(mine[slug][0], rows, 4 * asked.new)
            against = f"{rates[slug] / rates[rival]:.2f} times {rival}{share}"
            print(f"batch {rows}  {slug}: {against}; a late step takes {late:.2f} of an early one")
            print(f"batch {rows}  compiled {slug}: {rates[f'compiled {slug}'] / rates[rival]:.2f} times {rival}")


if __name__ == "__main__":
    main()
