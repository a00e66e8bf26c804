"""Template: a detector that learns from four kinds of degradation finds faults that it has never seen better than from one kind.

Coupled sines: each channel mixes the same few slow oscillations, whose phases wander. Learnt from is a clean stretch; in another
one of the channels now and then goes wrong for a while, in ways that no degradation makes: it drifts (`trend`), it runs a
little faster or slower than the others (`frequency`), or it repeats its own past, right by itself but not beside the others
(`correlation`). AUROC over all steps of that stretch; the best single kind of the seed is the baseline.

Noted beside: each single kind, each fault by itself, attention without the learned bias for offsets, and a linear
autoencoder of windows, as the catalogue's check asks for.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.data.panel import Floats, Panel
from sequary.data.simulated import table
from sequary.mixers.attention.full import Attention
from sequary.objectives.degradation import KINDS, Degradation
from sequary.tasks.detect.fitted import Fitted
from sequary.tasks.detect.judged import auroc
from sequary.tasks.detect.train import train
from sequary.tasks.training import Training
from sequary.train.seeds import derive

Settings = Mapping[str, Any]
Chosen = dict[str, dict[str, Any]]
PERIODS = (17.0, 29.0, 47.0)
LASTS = (16, 48)
"""Steps of a fault, least and most."""
APART = 120
"""Steps between the starts of faults."""


def sines(steps: int, channels: int, seed: int, purpose: str) -> Floats:
    """[steps, channels]: mixtures of three oscillations, the same mixture for every purpose, plus noise of a tenth."""
    rng, mix = (np.random.default_rng(derive(seed, "sines", name)) for name in (purpose, "mixture"))
    weight_KC = mix.normal(size=(len(PERIODS), channels)) + 1j * mix.normal(size=(len(PERIODS), channels))
    turn_TK = 2 * np.pi * np.arange(steps)[:, None] / PERIODS + np.cumsum(0.05 * rng.normal(size=(steps, 3)), 0)
    phase_K = 2 * np.pi * rng.random(len(PERIODS))
    return (np.exp(1j * (turn_TK + phase_K)) @ weight_KC).real + 0.1 * rng.normal(size=(steps, channels))


def faulty(clean_TC: Floats, faults: tuple[str, ...], seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """The stretch with a fault about every `APART` steps, kinds in turn; and for each step 0, or 1 + the fault's place."""
    rng, values_TC, which_T = (
        np.random.default_rng(derive(seed, "faults")),
        clean_TC.copy(),
        np.zeros(len(clean_TC), int),
    )
    for number, begin in enumerate(range(APART, len(clean_TC) - APART, APART)):
        kind, c = faults[number % len(faults)], int(rng.integers(clean_TC.shape[1]))
        start, last = begin + int(rng.integers(APART - LASTS[1])), int(rng.integers(*LASTS))
        here = np.arange(start, start + last)
        values_TC[here, c] = _fault(kind, clean_TC[:, c], here, rng)
        which_T[here] = 1 + faults.index(kind)
    return values_TC, which_T


def _fault(kind: str, own_T: Floats, here: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    sign = rng.choice((-1.0, 1.0))
    if kind == "trend":
        return own_T[here] + sign * rng.uniform(1, 2) * own_T.std() * np.linspace(0, 1, len(here))
    if kind == "frequency":
        speed = rng.uniform(1.3, 1.6) ** sign
        return np.interp(here[0] + (here - here[0]) * speed, np.arange(len(own_T)), own_T)
    if kind == "correlation":
        return own_T[here - int(rng.integers(8, 60))]
    raise ValueError(f"fault {kind!r} is none of trend, frequency, correlation")


def arms(slug: str, claim: Claim) -> dict[str, Recipe]:
    """ "system" with all kinds, each kind alone with the same chance of any degradation, and "without_bias"."""
    recipe = load(slug).recipe
    assert recipe is not None
    recipe, path = recipe.but(**claim.settings["train"]), "model__backbone__blocks__0__parts__0"
    objective = recipe.stages[0].objective
    assert isinstance(objective, Degradation)
    whole = sum(getattr(objective, kind) for kind in KINDS)
    single = {k: dataclasses.replace(objective, **{n: whole * (n == k) for n in KINDS}) for k in KINDS}
    heads = recipe.model.get("backbone").get("blocks")[0].get("parts")[0].get("heads")
    plain = recipe.but(**{path: part(Attention, heads=heads)})
    alone = {kind: recipe.but(stages__0__objective=each) for kind, each in single.items()}
    return {"system": recipe, **alone, "without_bias": plain}


def learned(recipe: Recipe, settings: Settings, option: Settings, seed: int) -> Fitted:
    clean = table(sines(settings["steps"], settings["channels"], seed, "learn"))
    return train(recipe, clean, Training(seed=seed, context=settings["context"], settings=option))


def tune(slug: str, claim: Claim) -> Chosen:
    """For each arm the overrides of the grid with the least loss on held-out windows, degraded as in its training."""
    grid = claim.settings["grid"]
    options = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    best: Chosen = {}
    for name, recipe in arms(slug, claim).items():
        losses = [learned(recipe, claim.settings, o, 0).curve[-1][2] for o in options] if len(options) > 1 else [0.0]
        best[name] = options[int(np.argmin(np.array(losses, float)))]  # curve: (step, training, validation loss)
    return best


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Settings]) -> Trial:
    """The floor is chance."""
    settings = claim.settings
    clean_TC = sines(settings["tested"], settings["channels"], seed, "test")
    values_TC, which_T = faulty(clean_TC, settings["faults"], seed)
    tested = table(values_TC)
    said = {n: learned(r, settings, chosen[n], seed).scores(tested)[0] for n, r in arms(slug, claim).items()}
    found = {name: auroc(score, which_T > 0) for name, score in said.items()}
    here = {f: (which_T == 0) | (which_T == i) for i, f in enumerate(settings["faults"], 1)}
    each = {f: auroc(said["system"][use], which_T[use] > 0) for f, use in here.items()}
    also = {"linear_autoencoder": auroc(linear_autoencoder(settings, seed, tested), which_T > 0)}
    return Trial(
        seed,
        found.pop("system"),
        max(found[kind] for kind in KINDS),
        0.5,
        also={**found, **each, **also},
    )


def linear_autoencoder(settings: Settings, seed: int, tested: Panel) -> Floats:
    """Squared error of a step when the window around it is rebuilt from its principal components (90 % of the variance)."""
    length, clean_TC = 16, sines(settings["steps"], settings["channels"], seed, "learn")

    def windows(values_TC: Floats) -> Floats:
        padded = np.pad(values_TC, ((length // 2, length - 1 - length // 2), (0, 0)), "reflect")
        return np.lib.stride_tricks.sliding_window_view(padded, length, axis=0).reshape(len(values_TC), -1)

    mean_C, size_C = clean_TC.mean(0), clean_TC.std(0)
    known = windows((clean_TC - mean_C) / size_C)
    _, strength, axes = np.linalg.svd(known - known.mean(0), full_matrices=False)
    kept = axes[: 1 + int(np.searchsorted(np.cumsum(strength**2) / np.sum(strength**2), 0.9))]
    own = windows((tested.series[0].values - mean_C) / size_C) - known.mean(0)
    error = (own - own @ kept.T @ kept).reshape(len(own), -1, length)
    return (error[:, :, length // 2] ** 2).sum(1)
