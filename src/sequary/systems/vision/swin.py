"""Swin Transformer: attention inside M × M windows, which every second block shifts by half a window.

Block: x + attention(norm x), then x + MLP(norm x); scores q kᵀ/√K + B with a learned bias B for each offset inside a window.
The shifted blocks roll the grid by M//2 and let only cells see each other that were neighbours before. Between the four
stages 2 × 2 cells are merged (4D -> 2D). Linear in pixels; the levels feed heads at strides 4 to 32.
"""

from sequary.backbones.downsample import PatchMerging
from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.window import WindowAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.patches2d import Patches

CARD = Card(
    id="swin",
    title="Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
    kind="backbone",
    arxiv="2103.14030",
    year=2021,
    modalities=("image", "any"),
    params={"s": (5e7, "its ImageNet-1K models"), "b": (8.8e7, "its ImageNet-1K models")},
    notes=(
        "Grids that the window does not divide are filled up with cells that no one reads. transformers lets such cells take "
        "part as keys.",
        "Declined: a window_size that does not divide a stage's grid (the authors' code refuses it), patches that are not square "
        "(patch_size), hidden_act other than gelu in transformers' configuration, image_size there that the patch does not divide.",
        "Stochastic depth is left out.",
    ),
)


def stage(depth: int, heads: int, window: int = 7) -> Part[Stack]:
    blocks = tuple(
        part(
            PreNorm,
            parts=(part(WindowAttention, heads=heads, window=window, shift=shift), part(MLP)),
            norm=part(LayerNorm),
        )
        for shift in (0, window // 2)
    )
    return part(Stack, depth=depth, blocks=blocks)


RECIPE = Recipe(
    dim=96,
    model=part(
        ImageClassifier,
        tokens=part(Patches, channels=FromData("channels"), patch=4),
        backbone=part(Pyramid, stages=(stage(2, 3), stage(2, 6), stage(6, 12), stage(2, 24)), down=part(PatchMerging)),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__tokens__patch", 2), ("model__backbone__stages", (stage(2, 2, 2), stage(2, 2, 2)))),
)
IMAGENET = {"model__tokens__channels": 3, "model__head__vocab": 1000}
SIZES = {
    "s": {**IMAGENET, "model__backbone__stages": (stage(2, 3), stage(2, 6), stage(18, 12), stage(2, 24))},
    "b": {**IMAGENET, "dim": 128, "model__backbone__stages": (stage(2, 4), stage(2, 8), stage(18, 16), stage(2, 32))},
}
CLAIM = Claim(
    "without the shift no gradient crosses a window's border, and with it some does",
    experiment="window_border",
    against="the same blocks and weights without the shift",
    metric="gradient_across",
    better="higher",
    settings={"side": 8, "window": 4, "depth": 2, "heads": 2, "dim": 16, "seeds": 5},
)
