"""Tasks small enough to be learnt in 200 steps, one for each kind of model. A new kind of model adds its toy to `TOYS`.

A toy is chosen by the class of the model and of its objective. Sizes that a recipe fixes (vocab, context, horizon, …, found by
name among its arguments) override those of `spec`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.backbones.stack import BLOCK, Stack
from sequary.builders import forecaster, language_model
from sequary.core.contracts import Forecasts, Model
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.data.panel import Frequency, Panel, Series
from sequary.heads.points import HorizonPoints
from sequary.laws.law import NoToy
from sequary.models.language import LanguageModel
from sequary.objectives.forecast import Forecast
from sequary.objectives.tokens import NextToken
from sequary.tasks.forecasting import prepare
from sequary.tokens.series import WholeSeries

Sizes = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    name: str
    models: tuple[type, ...] = ()
    """Classes of models that it serves; empty: any."""
    objectives: tuple[type, ...] = ()
    """Classes of objectives that it serves; empty: any."""
    spec: Sizes
    bind: Callable[[Recipe, Sizes], Recipe]
    """Fills in what only data can give."""
    batch: Callable[[int, torch.Generator, Sizes], Batch]
    """(rows, rng, sizes) -> what the objective wants, drawn anew."""
    score: Callable[[Model, Batch], float]
    """Lower is better; what the floor is measured in."""
    floor: Callable[[Batch], float]
    """What a model scores that has learnt nothing but the marginals."""
    host: Callable[[], Recipe]
    """A tiny recipe, bound and shrunk: what objectives, decoders, edits and probes are tried on."""

    def permuted(self, batch: Batch) -> Batch:
        """Each row with the target of another."""
        assert batch.target is not None
        weight = None if batch.weight is None else batch.weight.roll(1, 0)
        return dataclasses.replace(batch, target=batch.target.roll(1, 0), weight=weight)

    def small(self, of: Any, rng: torch.Generator) -> Batch:
        """Three rows in the sizes of a recipe or part."""
        return self.batch(3, rng, sizes(of, self.spec))


def toy_of(model: type, objective: type | None) -> Toy:
    """The first toy that serves this class of models and of objectives."""
    for toy in TOYS:
        if toy.models and not issubclass(model, toy.models):
            continue
        if objective is None or not toy.objectives or issubclass(objective, toy.objectives):
            return toy
    named = "" if objective is None else f" with {objective.__name__}"
    raise NoToy(f"no toy for models of class {model.__name__}{named}: add one to laws/toys.py")


def sizes(of: Any, spec: Sizes) -> Sizes:
    """`spec`, with what the arguments inside `of` say of the same names."""
    found: dict[str, Any] = dict(spec)

    def look(value: Any) -> None:
        if isinstance(value, Part):
            this = cast("Part[Any]", value)
            found.update({k: v for k, v in this.kw if k in spec and isinstance(v, int)})
            look(tuple(v for _, v in this.kw))
        elif isinstance(value, tuple):
            for v in cast("tuple[Any, ...]", value):
                look(v)

    look(of.model if isinstance(of, Recipe) else of)
    return found


def chain(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """A walk over symbols: from x to (3x + 1) mod n nine times in ten, else anywhere. Its marginal is uniform."""
    n, length = int(at["vocab"]), int(at["length"])
    walk = torch.empty(rows, length + 1, dtype=torch.long)
    walk[:, 0] = torch.randint(n, (rows,), generator=rng)
    jump = torch.randint(n, (rows, length), generator=rng)
    strays = torch.rand(rows, length, generator=rng) < 0.1
    step = next(k for k in (3, 5, 7, 11) if math.gcd(k, n) == 1)
    for t in range(length):
        walk[:, t + 1] = torch.where(strays[:, t], jump[:, t], (step * walk[:, t] + 1) % n)
    return Batch(values=walk[:, :-1], target=walk[:, 1:], weight=torch.ones(rows, length))


def spelled(recipe: Recipe, at: Sizes) -> Recipe:
    """Every hole by its own name."""
    return recipe.bind(at)


def framed(recipe: Recipe, at: Sizes) -> Recipe:
    """As the forecasting task does for a panel of these sizes."""
    n, channels = 4 * (int(at["context"]) + int(at["horizon"])), int(at["channels"])
    none = np.empty((n, 0))
    series = Series(
        id="toy", times=np.arange(n), values=np.zeros((n, channels)), past=none, future=none, static=np.empty(0)
    )
    panel = Panel(series=(series,), channels=tuple(f"c{i}" for i in range(channels)), frequency=Frequency("1i", 8))
    return prepare(recipe, panel, context=int(at["context"]), horizon=int(at["horizon"]))


def next_nats(model: Model, batch: Batch) -> float:
    """−log p of the next symbol, mean, by the main head."""
    assert batch.target is not None
    return model.head.loss(model(batch).hidden, batch.target).mean().item()


def unigram(batch: Batch) -> float:
    assert batch.target is not None
    share = torch.bincount(batch.target.flatten()).double() / batch.target.numel()
    return -(share * share.clamp(min=1e-12).log()).sum().item()


def waves(rows: int, rng: torch.Generator, at: Sizes) -> Batch:
    """Two sines (periods 8 and 5) of random phase and size around a random level."""
    context, horizon, channels = int(at["context"]), int(at["horizon"]), int(at["channels"])
    time = torch.arange(context + horizon)[None, :, None, None] / torch.tensor([8.0, 5.0])
    phase, size = (torch.rand(rows, 1, channels, 2, generator=rng) for _ in range(2))
    level = torch.randn(rows, 1, channels, generator=rng)
    x: Tensor = ((0.5 + size) * (2 * math.pi * (time + phase)).sin()).sum(-1) + level
    target = x[:, context:]
    return Batch(
        values=x[:, :context],
        observed=torch.ones(rows, context, channels, dtype=torch.bool),
        target=target,
        weight=torch.ones_like(target),
    )


def squared_error(model: Model, batch: Batch) -> float:
    assert isinstance(model, Forecasts)
    assert batch.target is not None
    return F.mse_loss(model.mean(model(batch)), batch.target).item()


def naive(batch: Batch) -> float:
    """The best of last value, mean of the look-back, and the value 8 steps ago."""
    assert batch.target is not None
    x, y = batch.values, batch.target
    back = x[:, (torch.arange(y.shape[1]) % 8) - min(8, x.shape[1])]
    return min(F.mse_loss(f.expand_as(y), y).item() for f in (x[:, -1:], x.mean(1, keepdim=True), back))


def tiny_language() -> Recipe:
    return language_model(dim=16, depth=1, blocks=(BLOCK,)).bind({"vocab": 5})


def tiny_forecaster() -> Recipe:
    return forecaster(
        dim=16,
        tokens=part(WholeSeries, context=32),
        backbone=part(Stack, depth=0, blocks=()),
        head=part(HorizonPoints, horizon=8),
    )


TOYS: tuple[Toy, ...] = (
    Toy(
        name="waves",
        models=(Forecasts,),
        objectives=(Forecast,),
        spec={"context": 32, "horizon": 8, "channels": 2},
        bind=framed,
        batch=waves,
        score=squared_error,
        floor=naive,
        host=tiny_forecaster,
    ),
    Toy(
        name="chain",
        models=(LanguageModel,),
        objectives=(NextToken,),
        spec={"vocab": 11, "length": 24},
        bind=spelled,
        batch=chain,
        score=next_nats,
        floor=unigram,
        host=tiny_language,
    ),
)
