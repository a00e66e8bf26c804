"""HaloNet: a block of pixels attends to itself and to a halo around it, and all its queries share those keys.

y_t = Σ_s softmax_s(q_t·(k_s + r_{s−t}) / √K) v_s over the (b + 2h)² cells around the block of t. Sharing loses the exact sliding
window and gains one gather of keys for b² queries, b² times less memory than a window for each pixel. The layers take the place
of 3 × 3 convolutions in the bottlenecks of a ResNet; between stages the queries stride.
"""

from sequary.backbones.halo_down import HaloDown
from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.bottleneck import Bottleneck
from sequary.blocks.norms import BatchNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.halo import HaloAttention
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.patches2d import ConvStem

CARD = Card(
    id="halonet",
    title="Scaling Local Self-Attention for Parameter Efficient Visual Backbones",
    kind="mixer",
    arxiv="2103.12731",
    year=2021,
    modalities=("image",),
    notes=(
        "Cells outside of the image get no weight, as in halonet-pytorch. timm lets zeros stand there that take part, and counts the "
        "offsets of strided queries in their own steps; the converter does the same for it.",
        "The recipe is small: the stem is two strided convolutions, and a stage begins with attention whose queries stride, not with "
        "a bottleneck around it. The hybrid with convolutions in the first stages is left out.",
    ),
)


def stage(depth: int, heads: int, block: int = 4, halo: int = 1) -> Part[Stack]:
    attention = part(HaloAttention, heads=heads, block=block, halo=halo)
    return part(Stack, depth=depth, blocks=(part(Bottleneck, mixer=attention, inner=0.5),))


RECIPE = Recipe(
    dim=64,
    model=part(
        ImageClassifier,
        tokens=part(ConvStem, channels=FromData("channels")),
        backbone=part(
            Pyramid,
            stages=(stage(2, 2), stage(2, 4), stage(2, 8)),
            down=part(HaloDown, heads=4, block=4, halo=1),
            norm=part(BatchNorm),
        ),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__backbone__stages", (stage(1, 2, 2), stage(1, 2, 2)))),
)
CLAIM = Claim(
    "sharing the keys of a block takes less time than a window of as many keys for each pixel; the output is that of attention "
    "under the mask of blocks and halos, and without a halo that of windows",
    experiment="shared_keys",
    against="neighbourhood attention with as many keys for each pixel",
    metric="seconds",
    settings={
        "side": 40,
        "block": 5,
        "halo": 2,
        "dim": 64,
        "heads": 4,
        "repeats": 5,
        "tolerance": 1e-10,
        "seeds": 5,
        "live": {"side": 30, "repeats": 3},
    },
)
