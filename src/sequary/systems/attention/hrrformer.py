"""Hrrformer: attention as a holographic memory: keys are bound to values by circular convolution, and all pairs are one vector.

β = Σ_t k_t ⊛ v_t; a query unbinds v̂_t = q_t† ⊛ β, a noisy sum of what it asks for; w = softmax_t(cos(v̂_t, v_t)) cancels the noise
that all tokens share, and y_t = w_t v_t. Time is linear in the length and no matrix of weights is kept. Bidirectional, with sine
positions; one layer and the mean of its tokens classify a series.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.heads.mean_pooled import MeanPooled
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.holographic import HolographicAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.series import SeriesEncoder
from sequary.objectives.classify import Classify
from sequary.tokens.joint_patches import JointPatches
from sequary.tokens.positions import SinePositions

CARD = Card(
    id="hrrformer",
    title="Recasting Self-Attention with Holographic Reduced Representations",
    kind="mixer",
    arxiv="2305.19534",
    year=2023,
    aliases=("hrrformer-softmax",),
    modalities=("text", "any"),
    notes=(
        "Padding is neither bound nor averaged; in the authors' code it enters both, and the converter does as they do.",
        "The recipe classifies series; the paper classifies bytes of text and malware.",
    ),
)


def _model(attention: Part[Mixer]) -> Recipe:
    return Recipe(
        dim=64,
        model=part(
            SeriesEncoder,
            tokens=part(JointPatches, channels=FromData("channels"), patch=1),
            positions=part(SinePositions),
            backbone=part(
                Stack, depth=1, blocks=(part(PreNorm, parts=(attention, part(MLP, ratio=2)), norm=part(LayerNorm)),)
            ),
            head=part(MeanPooled, head=part(Categorical, vocab=FromData("classes"), bias=True)),
        ),
        stages=(Stage(objective=Classify(), train=Train(lr=3e-3, batch=64, steps=600, patience=5)),),
        tiny=(("dim", 16),),
    )


RECIPE = _model(part(HolographicAttention, heads=4))
VARIANTS = {"hrrformer-softmax": _model(part(Attention, heads=4, bias=False))}
TUNE = {"stages__0__train__lr": (3e-3, 1e-3)}
CLAIM = Claim(
    "with one layer it is as accurate as softmax attention of the same size, to two points",
    experiment="twin_classes",
    against="hrrformer-softmax",
    metric="accuracy",
    better="higher",
    margin=-0.02,
    settings={
        "labels": 1000,
        "validation": 300,
        "test": 1000,
        "context": 24,
        "steps": 600,
        "grid": (1e-2, 3e-3, 1e-3),
        "seeds": 5,
        "live": {"labels": 300, "test": 500, "grid": (3e-3,), "steps": 100},
    },
)
