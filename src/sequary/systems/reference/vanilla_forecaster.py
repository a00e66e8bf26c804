"""A plain transformer encoder over time steps: the rival that linear, inverted and patched forecasters are measured against.

x_t = W [channels at t] + pos_t; pre-norm transformer layers over the L steps; a linear map L -> H over time, D -> C over features.
Windows are normalised as for the others, so that the difference is what a token is.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import forecaster
from sequary.core.card import Card
from sequary.core.part import FromData, part
from sequary.core.recipe import Train
from sequary.heads.steps import StepsHorizon
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.tokens.series import InstanceNorm
from sequary.tokens.steps import TimeSteps

CARD = Card(
    id="vanilla-forecaster",
    title="A transformer encoder over time steps",
    kind="reference",
    modalities=("timeseries",),
)
block = part(
    PreNorm, parts=(part(Attention, heads=4, dropout=0.1), part(MLP, ratio=2.0, dropout=0.1)), norm=part(LayerNorm)
)
RECIPE = forecaster(
    dim=64,
    scale=part(InstanceNorm),
    tokens=part(TimeSteps, context=FromData("context"), channels=FromData("channels")),
    backbone=part(Stack, depth=2, blocks=(block,), norm=part(LayerNorm)),
    head=part(StepsHorizon, context=FromData("context"), horizon=FromData("horizon"), channels=FromData("channels")),
    train=Train(lr=1e-3, batch=32, steps=2000, patience=5),
    tiny=(("dim", 16), ("model__backbone__depth", 1)),
)
TUNE = {"stages__0__train__lr": (1e-3, 3e-4)}
