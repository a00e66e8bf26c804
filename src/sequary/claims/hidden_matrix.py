"""The matrix read from a Mamba layer is what the layer does, and its weight lies where the answer comes from.

Settings: `length`, `symbols`, `taps`, `train` (overrides of the recipe), `tested` rows. Marker copy: a marker stands somewhere among
random symbols and again at the end, where the model must say the symbol that followed it. One layer, so that the columns of its
matrix are places of the input; its convolution carries a symbol into as many columns as it has taps. Metric `mass`: the share of the
last row of |α|, averaged over channels, that lies in the columns that carry the answer, on rows not trained on. Baseline: the best of
what does not read the trained matrix: equal weights, the norms of the layer's input, the same layer before training. Exact part: matrix ·
input = the scan's output in every channel, max|a − b| / max|b| at most `tolerance` in float64, before and after training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import CPU
from sequary.claims.judging import Trial
from sequary.claims.symbols import Rows, accuracy, trained
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.ctx import Tape
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.probe.hidden_attention import HiddenAttention, both_sides
from sequary.train.seeds import derive, forked, generator

LEARNT = 0.95
"""The accuracy below which a reading of the model says nothing."""


class NotLearnt(ValueError):
    """The model does not solve the task whose solution was to be read."""


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing: one model is trained, and read beside what needs no training."""
    return {}


def recipe_of(slug: str, settings: Mapping[str, Any]) -> Recipe:
    recipe = load(slug).recipe
    assert recipe is not None
    return recipe.but(**settings["train"]).bind({"vocab": settings["symbols"] + 1})


def copies(settings: Mapping[str, Any], count: int, seed: int, purpose: str) -> tuple[Rows, Tensor]:
    """Rows of the task, and [count] where the symbol to be copied stands: all columns that carry it come before the last."""
    length, symbols = settings["length"], settings["symbols"]
    rng = generator(CPU, seed, purpose)
    values = torch.randint(0, symbols, (count, length), generator=rng)
    marker = torch.randint(0, length - settings["taps"] - 1, (count,), generator=rng)
    values.scatter_(1, marker[:, None], symbols)
    values[:, -1] = symbols
    target, asked = torch.zeros_like(values), torch.zeros(values.shape, dtype=torch.bool)
    target[:, -1] = values.gather(1, marker[:, None] + 1)[:, 0]
    asked[:, -1] = True
    return Rows(values, target, asked), marker + 1


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s, recipe = claim.settings, recipe_of(slug, claim.settings)
    train = recipe.stages[0].train
    rows, _ = copies(s, train.steps * train.batch, seed, "train")
    tested, needed = copies(s, s["tested"], seed, "test")
    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        raw = recipe.build().eval()
    model = trained(recipe, rows, vocab=s["symbols"] + 1, seed=seed)
    solved = accuracy(model, tested)
    if solved < LEARNT:
        raise NotLearnt(f"accuracy {solved:.2f} after {train.steps} steps: too little to read a solution; train longer")
    batch = tested.batch(torch.arange(len(tested)))
    norms, before = shares(raw, batch, s, needed)
    trained_norms, mass = shares(model, batch, s, needed)
    rivals = {"equal": s["taps"] / s["length"], "norms": max(norms, trained_norms), "untrained": before}
    error = max(equality(m, rows.batch(torch.arange(32))) for m in (raw, model))
    broken = f"matrix · input is {error:.1e} from the layer's output" if error > s["tolerance"] else ""
    also = {"accuracy": solved, "error": error, **{f"mass_{name}": share for name, share in rivals.items()}}
    return Trial(seed, mass, max(rivals.values()), broken=broken, also=also)


@torch.no_grad()
def shares(model: Model, batch: Batch, settings: Mapping[str, Any], needed: Tensor) -> tuple[float, float]:
    """Of the norms of the layer's input, and of the last row of its matrix, what lies in the columns that carry the answer."""
    tape = Tape("scan_input")
    model.double()(batch, tape)
    (input_BTE,) = tape.entries["scan_input"]
    (mass_BTT,) = HiddenAttention()(model, [batch]).tensors["mass"]
    columns = needed[:, None] + torch.arange(settings["taps"])
    weights = (input_BTE.norm(dim=-1), mass_BTT[:, -1])
    norms, mass = (float((w.gather(1, columns).sum(1) / w.sum(1)).mean()) for w in weights)
    return norms, mass


@torch.no_grad()
def equality(model: Model, batch: Batch) -> float:
    """max|matrix · input − output| / max|output| of the scan, in float64."""
    reading = HiddenAttention(channels=True)(model.double(), [batch])
    read, scanned = both_sides(model, batch, reading)
    return float((read - scanned).abs().max() / scanned.abs().max())
