"""Language models of Shakespeare's bytes: docs/texts.md, bits per byte beside n-grams and a transformer, and what each writes.

    OMP_NUM_THREADS=1 python benchmarks/texts.py [--systems gpt,gla] [--out build/texts] [--steps 1500] [--docs docs]

Each system at its default size, nine tenths of the text to learn from (the last tenth of these to choose by), the rest to test on. The
learning rate is the better of `RATES` after a fifth of the steps. Killed, it goes on where it stopped; a system whose figures are there is
not run again. Times count only where nothing else runs.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import torch

from sequary.claims.text import shakespeare
from sequary.core.catalogue import load
from sequary.core.files import write_atomic
from sequary.tasks.language.fitted import Fitted
from sequary.tasks.language.generation import write
from sequary.tasks.language.ngram import NGram
from sequary.tasks.language.train import train
from sequary.tasks.sampling import Sampling
from sequary.tasks.training import Training
from sequary.train.manifest import Chosen

SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ("gpt", "gla", "mamba", "megabyte")},
    "wide-gpt": ("gpt", {"dim": 264}),
}
"""By name: what is fitted, and its overrides. The wide one is as large as megabyte."""
RATES = (1e-3, 3e-3)
ORDERS = (3, 6)
SAMPLING = Sampling(temperature=0.8, top_k=None)
PROMPT, WRITTEN = "\nKING RICHARD:\n", 400


def fitted(name: str, steps: int, rate: float, folder: Path) -> Fitted:
    """In float32: no clock decides."""
    system, sizes = SYSTEMS[name]
    recipe = load(system).recipe
    assert recipe is not None
    recipe = recipe.but(**sizes)
    stage = "stages__0__train__"
    settings = {stage + "lr": rate, stage + "steps": steps, stage + "evaluate_every": 100, stage + "patience": None}
    chosen = Chosen(precision="full", steps=steps, batch=recipe.stages[0].train.batch)
    asked = Training(seed=0, context=256, settings=settings, folder=folder, chosen=chosen)
    return train(recipe, shakespeare()[0], asked)


def judged(name: str, steps: int, out: Path) -> dict[str, Any]:
    held: dict[float, float] = {}
    for rate in RATES:
        last = fitted(name, steps // 5, rate, out / "work" / f"{name}-{rate:g}").curve[-1][2]
        assert last is not None
        held[rate] = last
    rate = min(held, key=held.__getitem__)
    began = time.perf_counter()
    fit = fitted(name, steps, rate, out / "work" / name)
    took = time.perf_counter() - began
    known, test = shakespeare()
    written = write(fit, PROMPT, WRITTEN, decode=None, seed=0, sampling=SAMPLING)
    return {
        "parameters": sum(p.numel() for p in fit.model.parameters()),
        "rate": rate,
        "steps": steps,
        "train_s": took,
        "bits": fit.bits_per_byte(test, known),
        "text": written.text,
        "bytes_s": len(written.raw) / written.seconds,
    }


def page(out: Path, machine: str) -> str:
    known, test = (part.tobytes() for part in shakespeare())
    found = {n: json.loads((out / f"{n}.json").read_text()) for n in SYSTEMS if (out / f"{n}.json").exists()}
    rows = [
        f"| `{n}` | {f['parameters'] / 1e3:,.0f} k | {f['bits']:.3f} | {f['rate']:g} | {f['train_s'] / 60:.1f} | {f['bytes_s']:.0f} |"
        for n, f in found.items()
    ]
    grams = [f"| {n}-gram | | {NGram(n).bits(known, test).mean():.3f} | | | |" for n in ORDERS]
    samples = [f"### {n}\n\n```text\n{f['text'].strip()}\n```\n" for n, f in found.items()]
    return TEMPLATE.format(
        rows="\n".join(rows + grams), samples="\n".join(samples), machine=machine, **next(iter(found.values()))
    )


TEMPLATE = """# Shakespeare, written on

Written by `benchmarks/texts.py`; do not edit. Bits per byte on the last tenth of `shakespeare.txt`, after {steps:,} steps of 8 windows of
256 bytes; each system at its default size (`wide-gpt`: gpt of width 264); {machine}. Times count only where nothing else ran.

| system | parameters | bits per byte | learning rate | minutes to train | bytes a second, written |
|---|---|---|---|---|---|
{rows}

The n-grams count all that the others learn from (interpolated Kneser-Ney). What each writes after the same line, at temperature 0.8:

{samples}"""


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--systems", default=",".join(SYSTEMS))
    ask.add_argument("--out", type=Path, default=Path("build/texts"))
    ask.add_argument("--docs", type=Path, default=Path("docs"))
    ask.add_argument("--steps", type=int, default=1500)
    ask.add_argument("--threads", type=int, default=1)
    asked = ask.parse_args()
    torch.set_num_threads(asked.threads)
    machine = (
        f"{asked.threads} thread{'s' if asked.threads > 1 else ''} of {platform.machine()}, torch {torch.__version__}"
    )
    for name in asked.systems.split(","):
        file = asked.out / f"{name}.json"
        if not file.exists():
            write_atomic(file, json.dumps(judged(name, asked.steps, asked.out), indent=1) + "\n")
        found = json.loads(file.read_text())
        print(f"{name}: {found['bits']:.3f} bits a byte after {found['train_s']:.0f} s", flush=True)
        write_atomic(asked.docs / "texts.md", page(asked.out, machine))
    print(asked.docs / "texts.md")


if __name__ == "__main__":
    main()
