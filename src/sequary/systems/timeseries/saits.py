"""SAITS: fill gaps by self-attention in which no step sees itself, twice, and weigh the two estimates entry by entry.

x1 = block one of [x, m] (m = what is observed); its estimate fills the gaps of the input of block two, which gives x2;
x3 = (1 − η) x2 + η x1, η = σ(W [m, Ā]) from the averaged attention map Ā and the mask. Loss: absolute error on entries that
were hidden on purpose, plus that of all three estimates on entries that stayed. The diagonal mask acts inside attention; the
residual stream still carries a step's own value.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.mixers.attention.diagonal import DiagonalAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.imputer import BlendedImputer
from sequary.objectives.imputation import HiddenValues

CARD = Card(
    id="saits",
    title="SAITS: Self-Attention-based Imputation for Time Series",
    kind="timeseries",
    arxiv="2202.08516",
    year=2022,
    modalities=("timeseries",),
    notes=(
        "The residual path carries a step's own value past the diagonal mask, in the authors' code as here.",
        "The authors' layers have a norm of epsilon 1e-5 before attention and of 1e-6 before the feed-forward, and share "
        "layers in groups; the converter builds both.",
        "Declined: MIT=False, whose imputation loss depends on the stage that the source's caller names.",
    ),
)
block = part(
    PreNorm,
    parts=(part(DiagonalAttention, heads=4, dropout=0.1), part(MLP, ratio=2, activation="relu", dropout=0.1)),
    norm=part(LayerNorm),
)
stack = part(Stack, depth=2, blocks=(block,))
RECIPE = Recipe(
    dim=128,
    model=part(
        BlendedImputer,
        channels=FromData("channels"),
        length=FromData("context"),
        first=stack,
        second=stack,
        dropout=0.1,
    ),
    stages=(Stage(objective=HiddenValues(rate=0.2), train=Train(lr=1e-3, batch=64, steps=2000, patience=5)),),
    tiny=(
        ("dim", 16),
        ("model__first__depth", 1),
        ("model__second__depth", 1),
        ("model__first__blocks__0__parts__0__heads", 2),
        ("model__second__blocks__0__parts__0__heads", 2),
    ),
)
TUNE = {"stages__0__train__lr": (1e-3, 3e-3)}
CLAIM = Claim(
    "what is missing is imputed better where steps cannot see themselves than by the same network without the diagonal mask",
    experiment="imputation",
    against="saits with itself=True",
    metric="mae",
    settings={
        "data": {"channels": 8, "sources": 4, "noise": 0.1, "context": 32, "missing": (0.3, 0.6), "block": 8.0},
        "system": {f"model__{stack}__depth": 1 for stack in ("first", "second")}
        | {"dim": 64, "stages__0__train__steps": 1500},
        "baseline": {f"model__{stack}__blocks__0__parts__0__itself": True for stack in ("first", "second")},
        "rival": "gru-imputer",
        "grid": {"stages__0__train__lr": (1e-3, 3e-3)},
        "seeds": 5,
        "live": {
            "system": {f"model__{stack}__depth": 1 for stack in ("first", "second")}
            | {"dim": 32, "stages__0__train__steps": 400},
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
