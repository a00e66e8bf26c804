"""PatchTST: each channel is a series of its own, cut into overlapping patches that are the tokens of one shared transformer.

x_c in R^L normalised to mean 0, deviation 1; N = (L − P)//S + 2 patches, z_n = W x_n + pos_n; a transformer encoder with batch
norm; y_c = W' flatten(z) in R^H. The paper's layer has plain attention; the authors' code adds the scores of the layer before
(residual attention), which the converter keeps.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import BatchNorm
from sequary.blocks.postnorm import PostNorm
from sequary.builders import forecaster
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Train
from sequary.heads.points import HorizonPoints
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.tokens.series import ChannelPatches, InstanceNorm

CARD = Card(
    id="patchtst",
    title="A Time Series is Worth 64 Words: Long-term Forecasting with Transformers",
    kind="forecasting",
    arxiv="2211.14730",
    year=2022,
    modalities=("timeseries",),
    notes=(
        "The authors' code adds attention scores from layer to layer; the converter builds ResidualScores for it.",
        "There pre_norm=True puts the normed values in the place of the residual stream, and d_k, d_v are free: SourceEncoder does so.",
        "Dropout acts on the embedded patches too, as in the authors' code, which no recorded case shows: they are of evaluation mode.",
        "Declined: pretrain_head=True (no forecast), an even kernel_size (an average shorter than the series), n_heads that does not "
        "divide d_model, an act other than relu and gelu, a head_type of another name: the source cannot run any of them.",
    ),
)
block = part(
    PostNorm, parts=(part(Attention, heads=4, dropout=0.3), part(MLP, hidden=128, dropout=0.3)), norm=part(BatchNorm)
)
RECIPE = forecaster(
    dim=16,
    scale=part(InstanceNorm),
    tokens=part(ChannelPatches, context=FromData("context"), patch=16, stride=8, dropout=0.3),
    backbone=part(Stack, depth=3, blocks=(block,)),
    head=part(HorizonPoints, horizon=FromData("horizon"), tokens=FromData("patches"), dropout=0.0),
    train=Train(lr=1e-3, batch=128, steps=2000, weight_decay=0.01, patience=5),
    tiny=(("model__backbone__depth", 1),),
)
TUNE = {"stages__0__train__lr": (1e-3, 3e-3), "model__backbone__depth": (3, 2)}
CLAIM = Claim(
    "tokens of patches forecast better than tokens of single steps at equal look-back and width",
    experiment="forecast_gain",
    against="patchtst",
    metric="mse",
    settings={
        "data": "ETTh1",
        "context": 96,
        "horizon": 96,
        "baseline": {"model__tokens__patch": 1, "model__tokens__stride": 1},
        "train": {
            "stages__0__train__steps": 400,
            "stages__0__train__evaluate_every": 100,
            "stages__0__train__batch": 16,
        },
        "grid": {"stages__0__train__lr": (1e-3, 3e-3)},
        "seeds": 8,
        "live": {"horizon": 24, "train": {"stages__0__train__steps": 60, "stages__0__train__batch": 16}, "grid": {}},
    },
)
