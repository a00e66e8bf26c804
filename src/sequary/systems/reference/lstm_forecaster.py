"""An LSTM encoder and decoder with all covariates side by side and a quantile head: the rival of models that select among them.

h = LSTM over [value, covariates] of the look-back; the decoder starts from its state and reads the covariates known beforehand;
quantiles by pinball loss.
"""

from sequary.core.card import Card
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.quantiles import Quantiles
from sequary.models.lstm_forecaster import LSTMForecaster
from sequary.objectives.forecast import Forecast

CARD = Card(
    id="lstm-forecaster",
    title="An LSTM encoder and decoder over a series with its covariates",
    kind="reference",
    modalities=("timeseries",),
)
RECIPE = Recipe(
    dim=64,
    model=part(
        LSTMForecaster,
        horizon=FromData("horizon"),
        covariates=FromData("covariates"),
        static=FromData("static"),
        past=FromData("past"),
        head=part(Quantiles, levels=FromData("levels")),
    ),
    stages=(Stage(objective=Forecast(), train=Train(lr=1e-3, batch=64, steps=2000, patience=5)),),
    tiny=(("dim", 16),),
)
TUNE = {"stages__0__train__lr": (1e-3, 3e-3)}
