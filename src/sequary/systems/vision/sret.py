"""Sliced Recursive Transformer: each block runs several times in a row, and every time attends inside other slices of the tokens.

For each pass r: x ← a x + b A_r(norm x), x ← c x + d F(norm x) with one set of weights for all passes, then x ← e x + f P_r(norm x), a
small feed-forward that each pass has for itself. A_r is attention inside s_r slices, T²/s_r products: runs of neighbours first,
strided ones next, so that slices exchange what they hold. Depth grows without weights, and slices pay for its time.
"""

from sequary.backbones.depthwise_down import DepthwiseDown
from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.recursive import SlicedRecursion
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.deep_stem import DeepStem
from sequary.tokens.patches2d import Patches

CARD = Card(
    id="sret",
    title="Sliced Recursive Transformer",
    kind="block",
    arxiv="2111.05297",
    year=2021,
    modalities=("image",),
    notes=(
        "Slices of later passes are strided: one permutation, the same each time. The authors' code draws one for each call, in evaluation "
        "too, and counts passes over the whole stage, which fits two a block; the converter does the same for it.",
        "The authors' code fills a length that the slices do not divide up with zeros that take part as keys; here slices are shorter. "
        "It norms the mean over cells; here cells are normed first.",
        "Stochastic depth and dropout are left out.",
    ),
)


def stage(depth: int, heads: int, slices: tuple[int, ...] = (1, 1), between: float = 1.0) -> Part[Stack]:
    block = part(SlicedRecursion, heads=heads, slices=slices, ratio=3.6, between=between)
    return part(Stack, depth=depth, blocks=(block,))


RECIPE = Recipe(
    dim=64,
    model=part(
        ImageClassifier,
        tokens=part(DeepStem, channels=FromData("channels")),
        backbone=part(
            Pyramid,
            stages=(stage(2, 4, (4, 2)), stage(3, 8, (2, 1)), stage(2, 8)),
            down=part(DepthwiseDown),
            norm=part(LayerNorm, eps=1e-6),
        ),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__backbone__stages", (stage(1, 2, (2, 2)), stage(1, 2)))),
)
DIGITS = RECIPE.but(dim=48, model__tokens=part(Patches, channels=FromData("channels"), patch=4, grid=(7, 7)))
TWICE = DIGITS.but(model__backbone__stages=(stage(2, 4),))
ONCE = DIGITS.but(model__backbone__stages=(stage(2, 4, (1,), between=2.0),))
SHORT = {"stages__0__train__batch": 32, "stages__0__train__steps": 300}
CLAIM = Claim(
    "blocks that run twice tell more digits than as many weights in blocks that run once",
    experiment="image_classes",
    against="the same blocks run once, their small feed-forwards twice as wide",
    metric="accuracy",
    better="higher",
    settings={
        "task": "digits",
        "learnt": 4000, "choose": 1000, "test": 4000,
        "recipes": {"system": "TWICE", "baseline": "ONCE"},
        "train": SHORT,
        "grid": (1e-3, 3e-3), "seeds": 6,
        "live": {"learnt": 1000, "test": 500, "grid": (3e-3,), "train": SHORT | {"stages__0__train__steps": 50}},
    },
)  # fmt: skip
