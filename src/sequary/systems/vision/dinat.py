"""Dilated Neighborhood Attention Transformer: neighbourhoods of near cells in turn with neighbourhoods of cells far apart.

o_t = Σ_s softmax_s(q_t·k_s / √K + b_{(s−t)/δ}) v_s over the k × k nearest cells of those that lie whole steps of δ from t: at no more
cost, δ = ⌊side / k⌋ spans the map. A layer of dilation δ after one of reach δ covers what lies between: dilations 1, k, k² … see
k^depth cells a side, where undilated layers see (k − 1) · depth + 1. Otherwise the network is NAT's.
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
    id="dinat",
    title="Dilated Neighborhood Attention Transformer",
    kind="mixer",
    arxiv="2209.15001",
    year=2022,
    modalities=("image", "any"),
    notes=(
        "The mixer is nat-neighborhood's with dilation. Depths, heads and dilations are those of the smallest released model, for images "
        "of 224 pixels a side; a dilation that leaves a class fewer cells than the kernel reads all of them.",
        "The authors' module fills inputs smaller than kernel · dilation up with zeros, which then take part as keys; the converter does "
        "the same for it.",
        "Stochastic depth, and the layer scale of larger sizes, are left out; so are the frameworks for segmentation.",
    ),
)


def stage(depth: int, heads: int, dilations: tuple[int, ...], kernel: int = 7) -> Part[Stack]:
    """`depth` blocks that take the dilations in turn."""
    blocks = tuple(
        part(
            PreNorm,
            parts=(part(NeighbourhoodAttention, heads=heads, kernel=kernel, dilation=d), part(MLP, ratio=3.0)),
            norm=part(LayerNorm),
        )
        for d in dilations
    )
    return part(Stack, depth=depth, blocks=blocks)


RECIPE = Recipe(
    dim=64,
    model=part(
        ImageClassifier,
        tokens=part(ConvStem, channels=FromData("channels")),
        backbone=part(
            Pyramid,
            stages=(stage(3, 2, (1, 8)), stage(4, 4, (1, 4)), stage(6, 8, (1, 2)), stage(5, 16, (1,))),
            down=part(ConvDownsample),
        ),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__backbone__stages", (stage(2, 2, (1, 2), 3), stage(1, 2, (1,), 3)))),
)
CLAIM = Claim(
    "with dilations 1, k, k² a cell reads k^depth cells a side after depth layers, against (k − 1) · depth + 1 without dilation at the "
    "same number of keys; a kernel as wide as its class is full attention among every δ-th cell",
    experiment="dilated_reach",
    against="nat-neighborhood",
    metric="cells_read",
    better="higher",
    settings={"side": 27, "kernel": 3, "depth": 3, "heads": 2, "dim": 8, "tolerance": 1e-10, "seeds": 5},
)
