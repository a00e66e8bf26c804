"""Images a second of the image generators, at their default sizes and random weights, which cost the same as trained ones.

VAR makes an image in one pass a scale; the raster twin, of the same width and depth, in one a code, with keys and values kept; RAR
decodes as the twin does; MAR makes several cells a pass, each by a chain of the diffusion head. All are guided: each
pass holds every image twice. `prior alone` leaves out the tokenizer's decoder, which is the same work for all.

python benchmarks/sampling.py [--threads 1] [--runs 3] [--batches 1 64]
"""

from __future__ import annotations

import argparse
import statistics
from time import perf_counter

import torch

from sequary.core.catalogue import load
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.models.tokenized import Tokenized, tokenized

SLUGS = ("var", "raster-codes", "rar", "mar-diffusion-loss")


def recipe_of(slug: str) -> Recipe:
    found = load(slug).recipe
    assert found is not None
    return found.bind({"channels": 1, "classes": 10})


def seconds(recipe: Recipe, model: Tokenized, rows: int) -> tuple[float, int]:
    """(of one batch, calls of the model)."""
    assert recipe.decode is not None
    prompt = Batch(values=torch.zeros(rows, 0), cond=torch.arange(rows) % 10)
    began = perf_counter()
    sample = recipe.decode(model, prompt, torch.Generator().manual_seed(0))
    return perf_counter() - began, sample.calls


@torch.no_grad()
def picture_seconds(model: Tokenized, rows: int) -> float:
    """Of the tokenizer's decoder."""
    tokens = model.tokenizer.encode(torch.zeros(rows, 1, 28, 28))
    began = perf_counter()
    model.tokenizer.decode(tokens)
    return perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="*", default=(1, 64))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    recipes = {slug: recipe_of(slug) for slug in SLUGS}
    models = {slug: tokenized(recipe.build().eval()) for slug, recipe in recipes.items()}
    print(f"torch {torch.__version__}, {asked.threads} thread(s), median of {asked.runs}, in turn")
    print(f"{'system':20} {'prior':>10} {'batch':>6} {'calls':>6} {'images/s':>10} {'prior alone':>12}")
    for rows in asked.batches:
        times: dict[str, list[float]] = {slug: [] for slug in SLUGS}
        pictures: dict[str, list[float]] = {slug: [] for slug in SLUGS}
        calls: dict[str, int] = {}
        for run in range(asked.runs + 1):
            for slug in SLUGS:
                took, calls[slug] = seconds(recipes[slug], models[slug], rows)
                drawn = picture_seconds(models[slug], rows)
                if run:  # the first one warms up
                    times[slug].append(took)
                    pictures[slug].append(drawn)
        for slug in SLUGS:
            whole = statistics.median(times[slug])
            alone = whole - statistics.median(pictures[slug])
            size = sum(p.numel() for p in models[slug].prior.parameters())
            print(f"{slug:20} {size:>10,} {rows:>6} {calls[slug]:>6} {rows / whole:>10.1f} {rows / alone:>12.1f}")


if __name__ == "__main__":
    main()
