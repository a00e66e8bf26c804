"""Generalised Neighborhood Attention: the queries of a group share one window, so that its masks fill whole tiles of a kernel.

o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over the window of k keys around the leader of the group of s neighbouring queries to which t
belongs, on each axis; with dilation inside a class of remainders, causal if asked. s = 1 is neighbourhood attention, s = k
attention in blocks. A fused kernel computes pairs of tiles in full: fewer tiles are met, and less is computed in vain, the more
stride and tile agree (ops/neighbourhood_tiles.py counts them).
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
from sequary.mixers.attention.generalised_neighbourhood import GeneralisedNeighbourhoodAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.patches2d import ConvStem

CARD = Card(
    id="gna",
    title="Generalized Neighborhood Attention: Multi-dimensional Sparse Attention at the Speed of Light",
    kind="mixer",
    arxiv="2504.16922",
    year=2025,
    modalities=("image", "video", "any"),
    notes=(
        "The paper puts its masks into trained generators of images and videos; the recipe is a small classifier, whose neighbourhoods "
        "overlap by half a window.",
        "A window starts at a border of tiles where (stride − kernel) / 2 is a whole number of them, as in the claim (tiles of 4, "
        "kernel 12); with tiles of 8 and kernel 16, a stride of one tile visits as many as sliding.",
        "Its kernel is for GPUs: here groups gather their keys once, and the simulator counts tiles. Tiles of its simulator start at the "
        "grid's corner; those that move with the window are left out.",
    ),
)


def stage(depth: int, heads: int, kernel: int = 8, stride: int = 4) -> Part[Stack]:
    attention = part(GeneralisedNeighbourhoodAttention, heads=heads, kernel=(kernel,) * 2, stride=(stride,) * 2)
    parts = (attention, part(MLP))
    return part(Stack, depth=depth, blocks=(part(PreNorm, parts=parts, norm=part(LayerNorm)),))


RECIPE = Recipe(
    dim=64,
    model=part(
        ImageClassifier,
        tokens=part(ConvStem, channels=FromData("channels")),
        backbone=part(Pyramid, stages=(stage(2, 2), stage(2, 4), stage(2, 8)), down=part(ConvDownsample)),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__backbone__stages", (stage(1, 2, 4, 2), stage(1, 2, 2, 2)))),
)
CLAIM = Claim(
    "at as many keys a query, a stride of one tile whose windows start at borders of tiles visits fewer tiles than sliding windows; output "
    "and tile counts are those of the mask by definition, and strides of 1 and of the kernel are sliding and blocked attention",
    experiment="visited_tiles",
    against="nat-neighborhood",
    metric="tiles_visited",
    settings={
        "side": 32,
        "kernel": 12,
        "tile": 4,
        "dim": 32,
        "heads": 2,
        "shapes": 24,
        "tolerance": 1e-10,
        "seeds": 5,
        "live": {"shapes": 8},
    },
)
