"""Template: samples of the system lie nearer to real images than those of a raster twin, at equal training time.

Both arms: a tokenizer with the same coder, codebook and steps (trained once), then a prior of the same size, whose steps take the
same time in all: the twin makes as many as fit into those of the system, by measured times of a step. Learning rate and guidance
are chosen for each arm, on the images that were learnt from, with the first seed. Metric `frechet`: on 1,000 images held out, by the
classifier of `tasks.frechet`. Floor: the pictures of random codes. Exact part: calls of the model for an image, one a scale
against one a code.
Settings: `system` and `twin` (overrides of each recipe), `rates`, `guidance`, `samples`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from time import process_time
from typing import Any

import torch

from sequary.claims.digits import classifier, digits, made, prior_stage, ready, recipe_of
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.contracts import Decoder, Model
from sequary.core.recipe import Recipe
from sequary.decode.choice import Drawn
from sequary.decode.guidance import Growing
from sequary.models.tokenized import tokenized
from sequary.tasks.frechet import frechet
from sequary.tasks.image_tokens import rebuilt
from sequary.train import budget
from sequary.train.loop import fit
from sequary.train.seeds import generator


def arms(slug: str, claim: Claim) -> tuple[Recipe, Recipe]:
    """System and twin, the twin with the system's coder."""
    system = recipe_of(slug, claim.settings["system"])
    twin = recipe_of(str(claim.against), claim.settings["twin"])
    coder = system.model.get("tokenizer").get("coder")
    return system, twin.but(model__tokenizer__coder=coder)


def steps_of_twin(system: Recipe, twin: Recipe) -> int:
    """As many steps of the twin as take the time of the system's; each timed twice, in turn."""
    seconds = {"system": 0.0, "twin": 0.0}
    for seed in (0, 1):
        for name, recipe in (("system", system), ("twin", twin)):
            model, tokens, _ = ready(recipe, seed)
            chosen = budget.choose(model, prior_stage(recipe), tokens, seed=seed, seconds=60.0)
            seconds[name] += chosen.measured[chosen.precision]
    return round(system.stages[1].train.steps * seconds["system"] / seconds["twin"])


def trained(recipe: Recipe, seed: int, rate: float, steps: int) -> Model:
    model, tokens, _ = ready(recipe, seed)
    fit(model, prior_stage(recipe, lr=rate, steps=steps), tokens, seed=seed, progress=False)
    return model


def decoder(recipe: Recipe, guidance: float) -> Decoder:
    """The recipe's, choosing from all codes; guidance grows to `guidance`."""
    assert dataclasses.is_dataclass(recipe.decode)
    return dataclasses.replace(recipe.decode, choice=Drawn(), guidance=Growing(guidance))


def apart(images: torch.Tensor, part: int) -> float:
    """Fréchet distance to the images learnt from (0) or held out (1)."""
    rows = digits()[part]
    return frechet(classifier().features(images), classifier().features(rows.batch(torch.arange(len(rows))).values))


def tune(slug: str, claim: Claim) -> dict[str, dict[str, float]]:
    """Steps, learning rate and guidance of each arm."""
    system, twin = arms(slug, claim)
    steps = {"system": system.stages[1].train.steps, "twin": steps_of_twin(system, twin)}
    best: dict[str, dict[str, float]] = {}
    for name, recipe in (("system", system), ("twin", twin)):
        found: list[tuple[float, float, float]] = []
        for rate in claim.settings["rates"]:
            model = trained(recipe, 0, rate, steps[name])
            for weight in claim.settings["guidance"]:
                images = made(model, decoder(recipe, weight), claim.settings["samples"], 0)[0]
                found.append((apart(images, 0), rate, weight))
        best[name] = {"steps": steps[name], "rate": min(found)[1], "guidance": min(found)[2]}
    return best


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    also: dict[str, float] = {"classifier": classifier().accuracy}
    found: dict[str, float] = {}
    broken = ""
    recipes = dict(zip(("system", "twin"), arms(slug, claim), strict=True))
    for name, recipe in recipes.items():
        model = trained(recipe, seed, chosen[name]["rate"], int(chosen[name]["steps"]))
        began = process_time()
        images, classes, calls = made(
            model, decoder(recipe, chosen[name]["guidance"]), claim.settings["samples"], seed + 1
        )
        also[f"{name}_seconds_an_image"] = (process_time() - began) / len(images)
        also[f"{name}_told"] = float((classifier().told(images) == classes).double().mean())
        also |= {f"{name}_calls": calls, f"{name}_rebuilt": rebuilt(model, pictures()).error}
        found[name] = apart(images, 1)
    if not also["system_calls"] < also["twin_calls"]:
        broken = f"{also['system_calls']} calls for an image, {also['twin_calls']} of the twin"
    return Trial(seed, found["system"], found["twin"], noise(recipes["system"], claim, seed), broken=broken, also=also)


def pictures() -> torch.Tensor:
    held = digits()[1]
    return held.batch(torch.arange(len(held))).values


@torch.no_grad()
def noise(recipe: Recipe, claim: Claim, seed: int) -> float:
    """Of pictures of random codes."""
    model, tokens, _ = ready(recipe, seed)
    size = (claim.settings["samples"], tokens.tokens.shape[1])
    vocab = recipe.model.get("tokenizer").get("vocab")
    codes = torch.randint(vocab, size, generator=generator(torch.device("cpu"), seed, "noise"))
    return apart(torch.cat([tokenized(model).tokenizer.decode(c) for c in codes.split(100)]), 1)
