"""Neighborhood Attention Transformer: every pixel attends to the k × k pixels nearest to it.

o_t = Σ_s softmax_s(q_t·k_s / √K + b_{s−t}) v_s over s in the k × k window around t, which slides inward at borders, so that
each query has exactly k² keys. Linear in pixels, and unlike attention in fixed windows it moves with its input. Four stages
behind an overlapping convolutional stem, each halving the grid and doubling the width by a strided convolution.
"""

from sequary.backbones.downsample import ConvDownsample
from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.neighbourhood import NeighbourhoodAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.patches2d import ConvStem

CARD = Card(
    id="nat-neighborhood",
    title="Neighborhood Attention Transformer",
    kind="mixer",
    arxiv="2204.07143",
    year=2022,
    modalities=("image", "any"),
    notes=(
        "A kernel wider than an axis covers that axis. The authors' module fills such inputs up with zeros, which then take "
        "part as keys; the converter does the same for it.",
        "Stochastic depth, and the layer scale of the two larger sizes, are left out.",
    ),
)


def stage(depth: int, heads: int, kernel: int = 7) -> Part[Stack]:
    parts = (part(NeighbourhoodAttention, heads=heads, kernel=kernel), part(MLP, ratio=3.0))
    return part(Stack, depth=depth, blocks=(part(PreNorm, parts=parts, norm=part(LayerNorm)),))


RECIPE = Recipe(
    dim=64,
    model=part(
        ImageClassifier,
        tokens=part(ConvStem, channels=FromData("channels")),
        backbone=part(Pyramid, stages=(stage(3, 2), stage(4, 4), stage(6, 8), stage(5, 16)), down=part(ConvDownsample)),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__backbone__stages", (stage(1, 2, 3), stage(1, 2, 3)))),
)
SIZES = {"tiny": {"model__backbone__stages__2__depth": 18}}
CLAIM = Claim(
    "a shift of the input shifts the output in the interior exactly, which attention in windows, shifted ones too, does not do; "
    "a kernel as wide as the side is full attention",
    experiment="shift_equivariance",
    against="swin",
    metric="shift_error",
    margin=0.01,
    settings={"side": 15, "kernel": 5, "depth": 2, "heads": 2, "dim": 16, "tolerance": 1e-9, "seeds": 5},
)
