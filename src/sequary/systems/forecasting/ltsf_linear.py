"""Linear forecasters: one linear map from the look-back to the horizon.

Linear: y = W x + b, over time, shared by all channels. NLinear: the last value is subtracted before and added after.
DLinear: x = trend + remainder by a moving average of 25 steps, and y = W_t trend + W_r remainder. No attention, no
non-linearity; the mandatory baseline of every forecasting comparison.
"""

from sequary.backbones.stack import Stack
from sequary.builders import forecaster
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Train
from sequary.heads.linear_series import SeriesLinear, TrendRemainder
from sequary.tokens.series import ChannelSteps, LastValue, NoScale

CARD = Card(
    id="ltsf-linear",
    title="Are Transformers Effective for Time Series Forecasting?",
    kind="forecasting",
    arxiv="2205.13504",
    year=2022,
    aliases=("dlinear", "nlinear", "linear"),
    modalities=("timeseries",),
    notes=("In NLinear no gradient flows through the level, as in the authors' code.",),
)
RECIPE = forecaster(
    dim=FromData("context"),
    scale=part(NoScale),
    tokens=part(ChannelSteps),
    backbone=part(Stack, depth=0, blocks=()),
    head=part(TrendRemainder, horizon=FromData("horizon"), kernel=25),
    train=Train(lr=3e-3, batch=32, steps=2000, schedule="cosine", patience=5),
)
VARIANTS = {
    "nlinear": RECIPE.but(model__scale=part(LastValue), model__head=part(SeriesLinear, horizon=FromData("horizon"))),
    "linear": RECIPE.but(model__head=part(SeriesLinear, horizon=FromData("horizon"))),
}
TUNE = {"stages__0__train__lr": (3e-3, 1e-3, 3e-4, 1e-2)}
CLAIM = Claim(
    "a linear map forecasts better than transformers over time steps",
    experiment="forecast_gain",
    against="vanilla-forecaster",
    metric="mse",
    settings={
        "data": "ETTh1",
        "context": 336,
        "horizon": 96,
        "train": {"stages__0__train__steps": 500, "stages__0__train__evaluate_every": 100},
        "grid": {"stages__0__train__lr": (1e-3, 3e-4)},
        "live": {"context": 96, "horizon": 24, "train": {"stages__0__train__steps": 150}, "grid": {}},
    },
)
