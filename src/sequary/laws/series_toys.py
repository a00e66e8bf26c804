"""Toys of models of whole series: spans to fill, faults to find."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.contracts import Head, Model
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe, Stage
from sequary.core.values import Batch
from sequary.heads.point_scores import PointScores
from sequary.heads.values import Values
from sequary.laws.toy import Toy, spelled
from sequary.laws.toy_data import Sizes
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.models.series import SeriesEncoder
from sequary.objectives.degradation import Degradation
from sequary.objectives.masked_values import MaskedValues
from sequary.tokens.joint_patches import JointPatches
from sequary.tokens.positions import LearnedPositions

BLOCK = part(PreNorm, parts=(part(Attention, heads=2), part(MLP)), norm=part(LayerNorm))


def sines(rows: int, rng: torch.Generator, at: Sizes, period: Tensor | float = 8.0) -> Tensor:
    """[rows, T, C]: one sine a row, each channel at a phase of its own."""
    time = torch.arange(int(at["context"]))[None, :, None] / period
    phase = torch.rand(rows, 1, 1, generator=rng) + torch.linspace(0, 0.5, int(at["channels"]))
    return (2 * math.pi * (time + phase)).sin()


def gaps(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """A third of the entries is missing; the target is the whole, and what is missing weighs."""
    whole = sines(rows, rng, at)
    observed = torch.rand(whole.shape, generator=rng) > 1 / 3
    return Batch(values=whole * observed, observed=observed, target=whole, weight=(~observed).float())


def missing_error(model: Model, batch: Batch) -> float:
    assert batch.target is not None
    assert batch.weight is not None
    error = (model.head.mean(model(batch).hidden) - batch.target).abs()
    return ((error * batch.weight).sum() / batch.weight.sum()).item()


def mean_error(batch: Batch) -> float:
    """Of the mean, which is 0."""
    assert batch.target is not None
    assert batch.weight is not None
    return ((batch.target.abs() * batch.weight).sum() / batch.weight.sum()).item()


def faults(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """Half of the rows lose their shape for a quarter of the window; the target says where. Objectives see the sound ones."""
    whole = sines(rows, rng, at)
    length = whole.shape[1]
    start = torch.randint(length - length // 4 + 1, (rows, 1), generator=rng)
    time = torch.arange(length)
    fault = (time >= start) & (time < start + length // 4) & (torch.arange(rows) % 2 == 1)[:, None]
    noise = torch.randn(whole.shape, generator=rng)
    return Batch(values=torch.where(fault[..., None], noise, whole), target=fault.float())


def misranked(model: Model, batch: Batch) -> float:
    """1 − AUROC over the points."""
    assert batch.target is not None
    score, fault = model.head.mean(model(batch).hidden).flatten(), batch.target.flatten().bool()
    return (score[fault][:, None] < score[~fault][None, :]).float().mean().item()


def half(batch: Batch) -> float:
    return 0.5


def tiny_detector() -> Recipe:
    model = part(
        SeriesEncoder,
        tokens=part(JointPatches, channels=2, patch=2),
        positions=part(LearnedPositions, length=8),
        backbone=part(Stack, depth=1, blocks=(BLOCK,)),
        head=part(PointScores, patch=2, hidden=16),
    )
    return Recipe(dim=16, model=model, stages=(Stage(objective=Degradation()),))


def tiny_filler() -> Recipe:
    return Recipe(dim=16, model=steps(part(Values, outputs=2)), stages=(Stage(objective=MaskedValues()),))


def steps(head: Part[Head]) -> Part[SeriesEncoder]:
    return part(
        SeriesEncoder,
        tokens=part(JointPatches, channels=2),
        positions=part(LearnedPositions, length=16),
        backbone=part(Stack, depth=1, blocks=(BLOCK,)),
        head=head,
    )


SERIES: tuple[Toy, ...] = (
    Toy(
        name="faults",
        models=(SeriesEncoder,),
        objectives=(Degradation,),
        spec={"context": 16, "channels": 2},
        bind=spelled,
        batch=faults,
        score=misranked,
        floor=half,
        host=tiny_detector,
    ),
    Toy(
        name="spans",
        models=(SeriesEncoder,),
        objectives=(MaskedValues,),
        spec={"context": 16, "channels": 2},
        bind=spelled,
        batch=gaps,
        score=missing_error,
        floor=mean_error,
        host=tiny_filler,
    ),
)
