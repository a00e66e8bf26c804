"""The image generators, trained on 9,000 digits and judged on 1,000: docs/generation.md and its pictures.

    OMP_NUM_THREADS=1 python benchmarks/generation.py [--systems var,rar,mar-diffusion-loss,raster-codes] [--out build/generators]
        [--data mnist10k.npz] [--steps N] [--docs docs]

Each system is fitted as `sequary fit` does, and kept in OUT/SYSTEM, a folder that `sequary generate` reads. Killed, it goes on where it
stopped; a system whose model and figures are there already is not run again, unless its recipe has changed. The page is written anew
from all figures after each system. Figures of time count only where nothing else runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import json
import platform
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequary.claims.forecast_gain import shared
from sequary.core.catalogue import load as system
from sequary.core.files import write_atomic
from sequary.core.values import Batch
from sequary.data.images import ImageRows, Images, read_images
from sequary.models.tokenized import tokenized
from sequary.tasks.frechet import STAGE, Yardstick, frechet, yardstick
from sequary.tasks.generate.pictures import packed
from sequary.tasks.generate.task import Saved
from sequary.tasks.generate.train import prepare, train
from sequary.tasks.saved import CONTRACT, load, save
from sequary.tasks.training import Training, altered
from sequary.train.manifest import ManifestError

SYSTEMS = ("var", "rar", "mar-diffusion-loss", "raster-codes")
SHOWN = 80
BATCHES = (1, 64)
REPEATS = {1: 9, 64: 3}
MOST = 60_000
"""Bytes of a picture."""


@dataclasses.dataclass(frozen=True)
class Judge:
    stick: Yardstick
    held: ImageRows
    real: Tensor
    chance: float
    """The distance between as many images that were learnt from and those held out."""

    @staticmethod
    def of(images: Images) -> Judge:
        learnt, held = (ImageRows(part) for part in images.parts())
        stick = yardstick(learnt, held)
        real = stick.features(values(held))
        others = torch.from_numpy(np.random.default_rng(0).permutation(len(learnt))[: len(held)])
        return Judge(stick, held, real, frechet(stick.features(learnt.batch(others).values), real))

    def of_images(self, made_BCHW: Tensor) -> tuple[float, float]:
        """Distance, and the share that the classifier tells to be of the class that was asked for; classes of the held-out images."""
        right = self.stick.told(made_BCHW) == self.held.labels
        return frechet(self.stick.features(made_BCHW), self.real), float(right.double().mean())


def values(rows: ImageRows) -> Tensor:
    return rows.batch(torch.arange(len(rows))).values


def fitted(name: str, images: Images, out: Path, settings: dict[str, Any]) -> Saved:
    """The kept model, or a new one. How it decodes may change without training."""
    recipe = system(name).recipe
    assert recipe is not None
    bound = prepare(altered(recipe, settings), images)
    folder, work = out / name, out / "work" / name
    if (folder / CONTRACT).exists():
        kept = load(folder)
        if isinstance(kept, Saved) and dataclasses.replace(kept.fitted.recipe, decode=bound.decode) == bound:
            kept.fitted = dataclasses.replace(kept.fitted, recipe=bound)
            save(kept.fitted, folder)
            return kept
        print(f"{name}: its recipe has changed since it was kept; it is fitted again", flush=True)
        shutil.rmtree(folder)
        shutil.rmtree(work, ignore_errors=True)
    say = functools.partial(print, f"{name}:", flush=True)
    asked = Training(seed=0, settings=settings, folder=work)
    try:
        made = train(recipe, images, asked, tell=say)
    except ManifestError as error:
        say(f"{error}; it begins anew")
        shutil.rmtree(work)
        made = train(recipe, images, asked, tell=say)
    save(made, folder)
    shutil.rmtree(work)
    kept = load(folder)
    assert isinstance(kept, Saved)
    return kept


def judged(name: str, saved: Saved, judge: Judge) -> dict[str, Any]:
    fit, model = saved.fitted, tokenized(saved.fitted.model)
    assert judge.held.labels is not None
    said(name, {"parameters": fit.params, "train_s": round(fit.train_s), "error": fit.rebuilt.error})
    with torch.no_grad():
        again = torch.cat([model.tokenizer.decode(model.tokenizer.encode(v)) for v in values(judge.held).split(250)])
    kept, _ = judge.of_images(again.clamp(-1, 1))
    found = {
        "parameters": {
            part: sum(p.numel() for p in getattr(model, part).parameters()) for part in ("tokenizer", "prior")
        },
        "train_s": fit.train_s,
        **dataclasses.asdict(fit.rebuilt),
        "rebuilt_frechet": kept,
    }
    for batch in BATCHES:
        found[f"calls_{batch}"], found[f"rate_{batch}"] = sampling(saved, batch)
        said(name, {f"images a second, {batch} at once": found[f"rate_{batch}"], "calls": found[f"calls_{batch}"]})
    decode = fit.recipe.decode
    assert decode is not None
    made = fit.draw(judge.held.labels.numpy(), decode=decode, seed=0)
    found["frechet"], found["right"] = judge.of_images(values(ImageRows(Images(made))))
    said(name, {key: found[key] for key in ("rebuilt_frechet", "frechet", "right")})
    return found


def sampling(saved: Saved, batch: int) -> tuple[int, float]:
    """Model calls, and images a second: the median of a few, after one."""
    fit, times, calls = saved.fitted, list[float](), 0
    assert fit.recipe.decode is not None
    prompt = Batch(values=torch.zeros(batch, 0), cond=torch.arange(batch) % max(1, len(fit.classes)))
    with torch.no_grad():
        for seed in range(REPEATS[batch] + 1):
            began = time.perf_counter()
            calls = fit.recipe.decode(fit.model, prompt, torch.Generator().manual_seed(seed)).calls
            times.append(time.perf_counter() - began)
    return calls, batch / statistics.median(times[1:])


def said(name: str, figures: dict[str, float]) -> None:
    print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items()), flush=True)


def picture(made: NDArray[np.uint8]) -> bytes:
    """At most `MOST` bytes: of fewer images where need be; a column for each of ten classes."""
    for count in range(len(made), 0, -10):
        raw = packed(made[:count], None, ".png", 10)
        if len(raw) <= MOST:
            return raw
    raise ValueError(f"ten images of {made.shape[1:]} take more than {MOST} bytes")


def page(out: Path, facts: dict[str, Any]) -> str:
    """Of all systems whose figures are there."""
    files = {name: out / f"{name}.json" for name in SYSTEMS}
    found = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    learnt = [
        f"| `{name}` | {f['parameters']['tokenizer'] / 1e3:.0f} k + {f['parameters']['prior'] / 1e3:.0f} k "
        f"| {f['train_s'] / 60:.1f} | {f['error']:.4f} | {codes(f)} | {f['rebuilt_frechet']:.2f} |"
        for name, f in found.items()
    ]
    made = [
        f"| `{name}` | {f['frechet']:.2f} | {100 * f['right']:.1f} % | {f['calls_64']} | {f['rate_1']:.1f} | {f['rate_64']:.1f} |"
        for name, f in found.items()
    ]
    pictures = [f"### {name}\n\n![{name}: digits, a column for each class](images/{name}.png)\n" for name in found]
    return TEMPLATE.format(learnt="\n".join(learnt), made="\n".join(made), pictures="\n".join(pictures), **facts)


def codes(f: dict[str, Any]) -> str:
    return "–" if f["used"] is None else f"{100 * f['used']:.0f} %, {f['perplexity']:.0f}"


TEMPLATE = """# Digits, drawn

Written by `benchmarks/generation.py`; do not edit. {count:,} images to learn from, {held:,} held out ({file}, {side} × {side} pixels), each
system at its default size, {machine}.

```
sequary fit var mnist10k.npz
sequary generate var-model --class 3 --n 64 --out grid.png
```

All of it again, the models kept in `build/generators`: `OMP_NUM_THREADS=1 python benchmarks/generation.py`.

## Learning

Each system trains its own tokenizer in a first stage, then the prior over its tokens. `raster-codes` is the twin: `rar` with its codes
always in raster order.

| system | parameters, tokenizer + prior | minutes to train | reconstruction error | codes used, perplexity | Fréchet distance, rebuilt |
|---|---|---|---|---|---|
{learnt}

- **Reconstruction error**: mean square over the held-out images, a pixel ranging from 0 to 1.
- **Codes used**: the share of the codes that occur among them, and exp of the entropy of how often. MAR's tokens are vectors, not codes.
- **Fréchet distance, rebuilt**: of the held-out images through the tokenizer and back to themselves.

## Making

| system | Fréchet distance | told as the class | passes | images a second, 1 at once | images a second, 64 at once |
|---|---|---|---|---|---|
{made}

- **Fréchet distance**: between the held-out images and one made for each, of its class, in the features of a small classifier that
  learnt from the same {count:,} images and is right on {accuracy:.1f} % of those held out. For images drawn from those learnt from it is
  {chance:.2f}: nothing has to be better than that. Such distances compare within one classifier only.
- **Told as the class**: the share of made images that the classifier tells as what was asked for.
- How MAR decodes (8 passes, temperature 0.8, guidance to 3) was chosen by the distance of 400 images from those held out; the others
  decode as their papers do.
- **Passes**: calls of the prior for one batch. Guidance doubles the rows of each, and MAR's head takes {calls} diffusion steps in each.

{pictures}"""


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--systems", default=",".join(SYSTEMS))
    ask.add_argument("--data", type=Path, help="an .npz with images and labels [default: shared data's mnist10k.npz]")
    ask.add_argument("--out", type=Path, default=Path("build/generators"))
    ask.add_argument("--docs", type=Path, default=Path("docs"))
    ask.add_argument("--steps", type=int, help="of every stage, in place of the recipe's: for a try")
    ask.add_argument("--threads", type=int, default=1)
    asked = ask.parse_args()
    torch.set_num_threads(asked.threads)
    path = asked.data or shared("mnist10k.npz")
    images = read_images(path)
    judge = Judge.of(images)
    print(
        f"classifier: right on {100 * judge.stick.accuracy:.1f} % after {STAGE.train.steps} steps; "
        f"distance between real images {judge.chance:.3f}",
        flush=True,
    )
    settings = {} if asked.steps is None else {f"stages__{i}__train__steps": asked.steps for i in (0, 1)}
    mar = system("mar-diffusion-loss").recipe
    assert mar is not None
    facts = {
        "count": len(images) - len(judge.held),
        "held": len(judge.held),
        "file": path.name,
        "side": images.pixels.shape[1],
        "machine": f"{asked.threads} thread{'s' if asked.threads > 1 else ''} of {platform.machine()}, torch {torch.__version__}",
        "accuracy": 100 * judge.stick.accuracy,
        "chance": judge.chance,
        "calls": mar.model.get("prior").get("head").get("calls", 100),
    }
    for name in asked.systems.split(","):
        saved, file = fitted(name, images, asked.out, settings), asked.out / f"{name}.json"
        digest = {"model": hash_of(asked.out / name), "chance": judge.chance}
        kept = json.loads(file.read_text()) if file.exists() else {}
        if kept.get("of") != digest:
            kept = {"of": digest, **judged(name, saved, judge)}
            write_atomic(file, json.dumps(kept, indent=1) + "\n")
            write_atomic(asked.docs / "images" / f"{name}.png", picture(saved.generate(SHOWN)))
        write_atomic(asked.docs / "generation.md", page(asked.out, facts))
    print(f"{asked.docs / 'generation.md'}", flush=True)


def hash_of(folder: Path) -> str:
    """Of weights and recipe."""
    return hashlib.sha256(
        b"".join((folder / name).read_bytes() for name in ("weights.safetensors", "recipe.json"))
    ).hexdigest()


if __name__ == "__main__":
    main()
