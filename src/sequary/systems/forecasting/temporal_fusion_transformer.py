"""Temporal Fusion Transformer: typed covariates, chosen step by step, an LSTM for what is near and attention for what is far.

GRN(a, c) = LayerNorm(a + GLU(W1 ELU(W2 a + W3 c))) is the one building block. At each step softmax weights select among the
variables; static variables join the selection, start the LSTM (encoder over the look-back, decoder over the horizon) and
enrich its output; then attention whose heads share one value map, gates after every part, and quantiles by pinball loss.
"""

from sequary.backbones.temporal_fusion import TemporalFusion
from sequary.condition.covariates import Covariates
from sequary.condition.selection import VariableSelection
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.quantiles import Quantiles
from sequary.mixers.attention.shared_value import SharedValueAttention
from sequary.mixers.mlp.gated_residual import GRN
from sequary.models.temporal_fusion import CovariateForecaster
from sequary.objectives.forecast import Forecast
from sequary.tokens.series import InstanceNorm

CARD = Card(
    id="temporal-fusion-transformer",
    title="Temporal Fusion Transformers for Interpretable Multi-horizon Time Series Forecasting",
    kind="forecasting",
    arxiv="1912.09363",
    year=2019,
    aliases=("tft",),
    modalities=("timeseries", "tabular"),
    notes=(
        "Each channel is a row of its own; windows are normalised outside, so that series of any level share one network.",
        "pytorch-forecasting resizes skips by interpolation, gives categories no GRN and lets a step of the horizon not see "
        "itself; the converter builds ResampledSkip and reach=-1 for it.",
        "Without statics the paper's contexts are GRNs of zeros: constants, which are learnt as such here.",
        "Declined: output_size as a list (several targets); categorical_groups; no variable in the look-back, or one that is "
        "static as well; encoder_lengths or decoder_lengths of 0; a mask with a query that sees nothing; residual=True with "
        "input_size unlike output_size.",
    ),
)
grn = part(GRN, dropout=0.1)
select = part(VariableSelection, joint=grn, each=(grn,))
RECIPE = Recipe(
    dim=32,
    model=part(
        CovariateForecaster,
        horizon=FromData("horizon"),
        scale=part(InstanceNorm),
        covariates=part(
            Covariates, cardinalities=FromData("cardinalities"), static=FromData("static"), past=FromData("past")
        ),
        network=part(
            TemporalFusion,
            static=select,
            past=select,
            future=select,
            attention=part(SharedValueAttention, heads=4, dropout=0.1),
            grn=grn,
            dropout=0.1,
        ),
        head=part(Quantiles, levels=FromData("levels")),
    ),
    stages=(Stage(objective=Forecast(), train=Train(lr=1e-3, batch=64, steps=2000, patience=5)),),
    tiny=(("dim", 16), ("model__network__attention__heads", 2)),
)
TUNE = {"stages__0__train__lr": (1e-3, 3e-3), "dim": (32, 16)}
CLAIM = Claim(
    "with covariates of which few matter, selecting them step by step forecasts better than an LSTM that reads them all",
    experiment="forecast_gain",
    against="lstm-forecaster",
    metric="pinball",
    settings={
        "data": "demand",
        "context": 56,
        "horizon": 14,
        "steps": 3000,
        "train": {"stages__0__train__steps": 1500, "stages__0__train__evaluate_every": 125},
        "grid": {"stages__0__train__lr": (1e-3, 3e-3)},
        "seeds": 5,
        "live": {"train": {"stages__0__train__steps": 100}, "grid": {}},
    },
)
