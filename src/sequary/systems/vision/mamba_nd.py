"""Mamba-ND: the scan of Mamba stays one-dimensional, and each layer lays the grid out in another order.

Layer i runs y = x + P_i⁻¹ Mamba(P_i norm(x)), P_i the cells by rows, by rows backwards, by columns, by columns backwards, and from the
start again (for N axes: 2N orders). Two layers let each cell reach every other, four let it do so along both axes, and a layer
costs what Mamba's does: no second direction inside of a block, no scan of its own for grids.
"""

from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.ssm.mamba import Mamba
from sequary.mixers.unravelled import Unravelled
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.patches2d import Patches

CARD = Card(
    id="mamba-nd",
    title="Mamba-ND: Selective State Space Modeling for Multi-Dimensional Data",
    kind="mixer",
    arxiv="2402.05892",
    year=2024,
    modalities=("image", "video", "timeseries", "pde"),
    notes=(
        "Grids need not be square, as they must be in the authors' code. Its unfused path normalises the stream itself at each layer; the "
        "converter does the same for it.",
        "The recipe is small and for images; orders of three axes are arguments of the part.",
        "Declined: lengths that are no square where a layer is transposed, which the source folds to a square.",
    ),
)
ORDERS = (((0, 1), False), ((0, 1), True), ((1, 0), False), ((1, 0), True))


def stage(depth: int, orders: tuple[tuple[tuple[int, int], bool], ...] = ORDERS, states: int = 16) -> Part[Stack]:
    """`depth` blocks that take the orders, each (axes, reverse), in turn."""
    inner = part(Mamba, states=states)
    blocks = tuple(
        part(PreNorm, parts=(part(Unravelled, inner=inner, axes=axes, reverse=back),), norm=part(LayerNorm))
        for axes, back in orders
    )
    return part(Stack, depth=depth, blocks=blocks)


RECIPE = Recipe(
    dim=96,
    model=part(
        ImageClassifier,
        tokens=part(Patches, channels=FromData("channels"), patch=4),
        backbone=part(Pyramid, stages=(stage(8),)),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__backbone__stages", (stage(2, states=4),))),
)
SHORT = {"dim": 32, "stages__0__train__batch": 32, "stages__0__train__steps": 300}
FOUR = RECIPE.but(model__backbone__stages=(stage(4, states=8),))
RASTER = RECIPE.but(model__backbone__stages=(stage(4, ORDERS[:1], states=8),))
CLAIM = Claim(
    "layers that take rows and columns in turn, in both directions, tell more digits than as many layers in raster order",
    experiment="image_classes",
    against="the same network in raster order",
    metric="accuracy",
    better="higher",
    settings={
        "task": "digits",
        "learnt": 4000,
        "choose": 1000,
        "test": 4000,
        "recipes": {"system": "FOUR", "baseline": "RASTER"},
        "train": SHORT,
        "grid": (3e-3, 1e-2),
        "live": {"learnt": 1000, "test": 500, "grid": (1e-2,), "train": {**SHORT, "stages__0__train__steps": 40}},
    },
)
