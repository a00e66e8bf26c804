"""Tasks small enough to be learnt in 200 steps, one for each kind of model. A new kind of model adds its toy to `TOYS`.

A toy is chosen by the class of the model and of its objective. Sizes that a recipe fixes (vocab, context, horizon, …, found by
name among its arguments) override those of `spec`.

Longer than 200 lines because it is a list, one entry a toy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sequary.backbones.stack import BLOCK, Stack
from sequary.builders import forecaster, language_model
from sequary.core import catalogue
from sequary.core.contracts import Forecasts
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.data.panel import Frequency, Panel, Series
from sequary.heads.points import HorizonPoints
from sequary.laws.image_toys import IMAGE_TOYS
from sequary.laws.law import NoToy
from sequary.laws.series_toys import SERIES
from sequary.laws.toy import Toy, spelled
from sequary.laws.toy_data import (
    Sizes,
    chain,
    class_nats,
    filled_error,
    gaps,
    hidden_chain,
    hidden_nats,
    mean_filled,
    mirrored,
    naive,
    next_nats,
    painted,
    scattered,
    squared_error,
    stripes,
    tones,
    topics,
    unigram,
    waves,
)
from sequary.models.classifier import ImageClassifier
from sequary.models.encdec import EncoderDecoder
from sequary.models.encoder import TokenEncoder
from sequary.models.energy import EnergyModel
from sequary.models.imputer import BlendedImputer
from sequary.models.language import LanguageModel
from sequary.models.megabyte import Megabyte
from sequary.models.raster import RasterModel
from sequary.models.recurrent_imputer import RecurrentImputer
from sequary.models.series import SeriesEncoder
from sequary.models.text_classifier import TextClassifier
from sequary.objectives.classify import ClassLoss
from sequary.objectives.forecast import Forecast
from sequary.objectives.hidden_gaps import HiddenGaps
from sequary.objectives.imputation import HiddenValues
from sequary.objectives.masked_tokens import MaskedTokens
from sequary.objectives.pathways import OnPathways
from sequary.objectives.refinement import Refinement
from sequary.objectives.tokens import NextToken
from sequary.tasks.forecast.train import prepare
from sequary.tokens.series import WholeSeries


def toy_of(model: type, objective: type | None) -> Toy:
    """The first toy that serves this class of models and of objectives."""
    for toy in TOYS:
        if toy.models and not issubclass(model, toy.models):
            continue
        if objective is None or not toy.objectives or issubclass(objective, toy.objectives):
            return toy
    named = "" if objective is None else f" with {objective.__name__}"
    raise NoToy(f"no toy for models of class {model.__name__}{named}: add one to laws/toys.py")


def framed(recipe: Recipe, at: Sizes) -> Recipe:
    """As the forecasting task does for a panel of these sizes."""
    n, channels = 4 * (int(at["context"]) + int(at["horizon"])), int(at["channels"])
    none = np.empty((n, 0))
    series = Series(
        id="toy", times=np.arange(n), values=np.zeros((n, channels)), past=none, future=none, static=np.empty(0)
    )
    panel = Panel(series=(series,), channels=tuple(f"c{i}" for i in range(channels)), frequency=Frequency("1i", 8))
    return prepare(recipe, panel, context=int(at["context"]), horizon=int(at["horizon"]))


def tiny_language() -> Recipe:
    return language_model(dim=16, depth=1, blocks=(BLOCK,)).bind({"vocab": 5})


def tiny_forecaster() -> Recipe:
    return forecaster(
        dim=16,
        tokens=part(WholeSeries, context=32),
        backbone=part(Stack, depth=0, blocks=()),
        head=part(HorizonPoints, horizon=8),
    )


def of(name: str, sizes: Sizes) -> Callable[[], Recipe]:
    """The tiny recipe of a system."""

    def host() -> Recipe:
        recipe = catalogue.load(name).recipe
        assert recipe is not None
        return recipe.shrunk().bind(sizes)

    return host


CHAIN = {"vocab": 11, "length": 24}
WAVES = {"context": 32, "horizon": 8, "channels": 2}
TONES = {"context": 16, "channels": 2, "classes": 4}
STRIPES = {"side": 16, "channels": 3, "classes": 4}
TOPICS = {**CHAIN, "classes": 4}
GAPS = {"context": 16, "length": 16, "channels": 2}
PAINTED = {"vocab": 11, "grid": (4, 6)}
TOYS: tuple[Toy, ...] = (
    Toy(
        name="waves",
        models=(Forecasts,),
        objectives=(Forecast,),
        spec=WAVES,
        bind=framed,
        batch=waves,
        score=squared_error,
        floor=naive,
        host=tiny_forecaster,
    ),
    Toy(
        name="chain",
        models=(LanguageModel, Megabyte),
        objectives=(NextToken,),
        spec=CHAIN,
        bind=spelled,
        batch=chain,
        score=next_nats,
        floor=unigram,
        host=tiny_language,
    ),
    Toy(
        name="pathways",
        models=(LanguageModel,),
        objectives=(OnPathways,),
        spec=CHAIN,
        bind=spelled,
        batch=chain,
        score=next_nats,
        floor=unigram,
        host=of("ssa-pathways", CHAIN),
    ),
    Toy(
        name="tones",
        models=(SeriesEncoder,),
        objectives=(ClassLoss,),
        spec=TONES,
        bind=spelled,
        batch=tones,
        score=class_nats,
        floor=unigram,
        host=of("tst-mvts", TONES),
    ),
    Toy(
        name="stripes",
        models=(ImageClassifier,),
        objectives=(ClassLoss,),
        spec=STRIPES,
        bind=spelled,
        batch=stripes,
        score=class_nats,
        floor=unigram,
        host=of("swin", STRIPES),
    ),
    Toy(
        name="topics",
        models=(TextClassifier,),
        objectives=(ClassLoss,),
        spec=TOPICS,
        bind=spelled,
        batch=topics,
        score=class_nats,
        floor=unigram,
        host=of("attention-rank-collapse", TOPICS),
    ),
    Toy(
        name="hidden chain",
        models=(TokenEncoder,),
        objectives=(MaskedTokens,),
        spec=CHAIN,
        bind=spelled,
        batch=hidden_chain,
        score=hidden_nats,
        floor=unigram,
        host=of("linformer", CHAIN),
    ),
    Toy(
        name="painted chain",
        models=(RasterModel,),
        objectives=(NextToken,),
        spec=PAINTED,
        bind=spelled,
        batch=painted,
        score=next_nats,
        floor=unigram,
        host=of("axial-attention", PAINTED),
    ),
    Toy(
        name="gaps",
        models=(BlendedImputer, RecurrentImputer),
        objectives=(HiddenGaps, HiddenValues),
        spec=GAPS,
        bind=spelled,
        batch=gaps,
        score=filled_error,
        floor=mean_filled,
        host=of("saits", GAPS),
        shuffle=scattered,
    ),
    Toy(
        name="mirror",
        models=(EncoderDecoder,),
        objectives=(NextToken,),
        spec={"vocab": 11, "length": 8},
        bind=spelled,
        batch=mirrored,
        score=next_nats,
        floor=unigram,
        host=tiny_language,
    ),
    Toy(
        name="descended chain",
        models=(EnergyModel,),
        objectives=(Refinement,),
        spec=CHAIN,
        bind=spelled,
        batch=chain,
        score=next_nats,
        floor=unigram,
        host=of("ebwm-ebt", CHAIN),
    ),
    *SERIES,
    *IMAGE_TOYS,
)
