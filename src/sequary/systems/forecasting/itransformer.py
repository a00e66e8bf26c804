"""iTransformer: each channel's whole look-back is one token, and attention runs over channels.

h_c = W x_c + b with x_c in R^L; transformer layers over the C tokens (no positions, so any number of channels works);
y_c = W' h_c in R^H. Windows are normalised to mean 0 and deviation 1 outside. Covariates are further tokens.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.postnorm import PostNorm
from sequary.builders import forecaster
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Train
from sequary.heads.points import HorizonPoints
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.tokens.series import InstanceNorm, WholeSeries

CARD = Card(
    id="itransformer",
    title="iTransformer: Inverted Transformers Are Effective for Time Series Forecasting",
    kind="forecasting",
    arxiv="2310.06625",
    year=2023,
    modalities=("timeseries",),
    notes=(
        "Covariates known beforehand are tokens over the look-back, as the authors' time marks are.",
        "Where n_heads does not divide d_model the source attends in a narrower space: the converter has a part that does so.",
    ),
)
block = part(PostNorm, parts=(part(Attention, heads=8, dropout=0.1), part(MLP, hidden=128, dropout=0.1)))
RECIPE = forecaster(
    dim=128,
    scale=part(InstanceNorm),
    tokens=part(WholeSeries, context=FromData("context")),
    backbone=part(Stack, depth=2, blocks=(block,), norm=part(LayerNorm)),
    head=part(HorizonPoints, horizon=FromData("horizon")),
    train=Train(lr=1e-3, batch=32, steps=2000, weight_decay=0.01, patience=5),
    tiny=(("dim", 16), ("model__backbone__depth", 1)),
)
TUNE = {"stages__0__train__lr": (1e-3, 3e-4), "model__backbone__depth": (2, 1)}
CLAIM = Claim(
    "tokens of whole series find a channel that leads another, where tokens of time steps or each channel alone do not",
    experiment="forecast_gain",
    against="dlinear,vanilla-forecaster",
    metric="mse",
    settings={
        "data": "delayed_channels",
        "context": 48,
        "horizon": 12,
        "train": {"stages__0__train__steps": 800, "stages__0__train__evaluate_every": 100},
        "grid": {"stages__0__train__lr": (1e-3, 3e-4)},
        "seeds": 5,
        "live": {"train": {"stages__0__train__steps": 200}, "grid": {}},
    },
)
