"""ULSAM: attention over the cells of an image for compact networks, a map of its own for each group of channels.

y = x + A_g ⊙ x, A_g = softmax over cells of W maxpool(D x): a depthwise 1 × 1 convolution, a 3 × 3 max-pool, and a 1 × 1 convolution to one
channel: three numbers a channel. It may stand in for a heavy layer. The recipe is a small network of inverted bottlenecks
whose second stage has it in place of one of them; the paper's hosts are MobileNet V1 and V2.
"""

from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.chain import Chain
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.conv.inverted import InvertedBottleneck
from sequary.mixers.conv.subspace_attention import SubspaceAttention
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.patches2d import Patches

CARD = Card(
    id="ulsam",
    title="ULSAM: Ultra-Lightweight Subspace Attention Module for Compact Convolutional Neural Networks",
    kind="block",
    arxiv="2006.15102",
    year=2020,
    modalities=("image",),
    notes=(
        "The authors' code has batch norm and ReLU after both convolutions, which the paper's formula has not: the converter folds the "
        "norms into the convolutions and keeps the ReLU. Its scores are therefore never below 0.",
        "The claim is of what separate maps can do that one cannot; the paper's savings on ImageNet are not tried.",
    ),
)
bottleneck = part(PreNorm, parts=(part(InvertedBottleneck, ratio=4.0),), norm=part(LayerNorm))
ulsam = part(Chain, parts=(part(SubspaceAttention, groups=4),))
RECIPE = Recipe(
    dim=32,
    model=part(
        ImageClassifier,
        tokens=part(Patches, channels=FromData("channels"), patch=2),
        backbone=part(
            Pyramid,
            stages=(
                part(Stack, depth=2, blocks=(bottleneck,)),
                part(Stack, depth=3, blocks=(bottleneck, ulsam, bottleneck)),
            ),
        ),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16),),
)
CLAIM = Claim(
    "with a map for each group of channels every group attends to its own mark, where one map shares itself out among them",
    experiment="own_maps",
    against="one map for all channels",
    metric="own_weight",
    better="higher",
    margin=0.1,
    settings={"side": 16, "dim": 16, "groups": 4, "height": 12.0, "seeds": 5},
)
