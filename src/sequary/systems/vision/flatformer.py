"""FlatFormer: points are sorted along a path through windows and cut into groups of equal size, so that nothing is padded.

A layer sorts the non-empty cells of a map by window and by place in it, to and fro, and attends inside each run of G of them:
q = k = x + place, v = x; then norm(x + ·), a feed-forward, and a norm again. Layers take the paths x, x with windows shifted by
half, y, y shifted in turn. Windows of equal shape would hold uneven numbers of points; groups of equal size span uneven shapes.
"""

from sequary.backbones.occupied import Occupied
from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm, NoNorm
from sequary.blocks.postnorm import PostNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.flat_window import PATHS, FlatWindowAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.pillars import Pillars

CARD = Card(
    id="flatformer",
    title="FlatFormer: Flattened Window Attention for Efficient Point Cloud Transformer",
    kind="mixer",
    arxiv="2301.08739",
    year=2023,
    modalities=("3d", "image"),
    notes=(
        "The recipe classifies sparse images, whose empty cells are masked, in place of detecting objects in lidar sweeps.",
        "The last group of a sample reaches back over points of the one before, as in the authors' code. There, a sample of fewer points "
        "than a group borrows from another sample, and windows that are large against the map interleave samples; here neither happens.",
        "Declined: group_size above the points of a sample, activation 'glu', which halves what the next map takes, and two points in one "
        "cell, whose order the source leaves to its sort.",
    ),
)


def stage(depth: int, heads: int, window: int, group: int) -> Part[Stack]:
    """`depth` layers that take the four paths in turn."""
    sides, mlp = (window, window), part(MLP, ratio=2.0)
    groups = (part(FlatWindowAttention, heads=heads, window=sides, group=group, axis=a, shift=s) for a, s in PATHS)
    layers = tuple(part(PostNorm, parts=(attention, mlp), norm=part(LayerNorm)) for attention in groups)
    return part(Stack, depth=depth, blocks=layers)


RECIPE = Recipe(
    dim=64,
    model=part(
        ImageClassifier,
        tokens=part(Pillars, channels=FromData("channels"), patch=2),
        backbone=part(Pyramid, stages=(part(Occupied, inside=stage(4, 4, 4, 16)),), norm=part(NoNorm)),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__backbone__stages__0__inside", stage(2, 2, 2, 8))),
)
CLAIM = Claim(
    "of clustered points, groups of the mean size of windows leave fewer slots empty than windows of equal shape filled up to the fullest; "
    "all groups but one are full of points of their own, and the output is attention under the mask of groups",
    experiment="empty_slots",
    against="windows of equal shape",
    metric="empty_share",
    settings={
        "side": 48,
        "window": 6,
        "clusters": 12,
        "points": 400,
        "dim": 16,
        "heads": 2,
        "tolerance": 1e-10,
        "seeds": 5,
    },
)
