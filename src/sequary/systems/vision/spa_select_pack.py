"""Select and Pack Attention: a gate picks tokens of each image, as many as it has; they are packed over the batch and attend there.

g_t = σ(w·x_t + b); tokens with g_t > 1/2 of all images are laid end to end in containers under a block mask, so that no image reads
another; o_t = g_t · attention(x_t; selected tokens of its image), 0 for the rest, which only the residual and the feed-forward carry on.
Work follows the tokens that were selected, not the fullest image. The gate's logits are on the tape for a loss against labels.
"""

from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.selected import SelectedAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.patches2d import Patches

CARD = Card(
    id="spa-select-pack",
    title="Context-Aware Token Selection and Packing for Enhanced Vision Transformer",
    kind="mixer",
    arxiv="2410.23608",
    year=2024,
    modalities=("image",),
    notes=(
        "Built from the abstract; no code of the authors' was found. The output is weighted with the gate's score, so that the gate "
        "learns from the task too; labels of selection, made from boxes at each scale, and a detector are left out: a classifier of "
        "images has none.",
        "Containers are as long as the fullest image, and images are packed whole, in order (next fit). Where shapes may not depend on "
        "data, in compiled and exported programs, the same is computed under a mask.",
        "The claim is of exactness and time; the paper's gain in detection is not tried.",
    ),
)
block = part(PreNorm, parts=(part(SelectedAttention, heads=4), part(MLP)), norm=part(LayerNorm))
RECIPE = Recipe(
    dim=64,
    model=part(
        ImageClassifier,
        tokens=part(Patches, channels=FromData("channels"), grid=(7, 7)),
        backbone=part(Pyramid, stages=(part(Stack, depth=4, blocks=(block,)),)),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__tokens__grid", (4, 4)), ("model__backbone__stages__0__depth", 1)),
)
CLAIM = Claim(
    "packed over the batch, attention among selected tokens is that of each image alone, and takes less time than when every image is "
    "filled up to the fullest",
    experiment="packed_selection",
    against="selected tokens filled up to the fullest image",
    metric="time_share",
    margin=0.05,
    settings={
        "images": 32, "side": 24, "dim": 64, "heads": 4, "least": 3, "most": 16, "repeats": 15, "seeds": 5,
        "live": {"repeats": 5},
    },
)  # fmt: skip
