"""Polyphase-anchored vision transformer: whatever samples or cuts a map with a stride first looks for its strongest phase.

A stride of s has s² phases. Rolling the map so that the phase with the greatest norm starts at the origin makes the operation commute
with circular shifts: y = R⁻¹ f(R x). Done before the patches, windows and sub-sampled keys of a Twins-like network whose
positions are a circular depthwise convolution, it leaves only shifts of whole cells, which the mean over cells forgets.
"""

from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm, NoNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.anchored import Anchored
from sequary.mixers.attention.subsampled import SubsampledAttention
from sequary.mixers.attention.window import WindowAttention
from sequary.mixers.conv.circular import CircularConv
from sequary.mixers.mlp.dense import MLP
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.anchored_patches import AnchoredPatches
from sequary.tokens.patches2d import Patches

CARD = Card(
    id="polyphase-anchored-vit",
    title="Reviving Shift Equivariance in Vision Transformers",
    kind="block",
    arxiv="2306.07470",
    year=2023,
    modalities=("image",),
    notes=(
        "One stage of a Twins-like network; merging patches between stages would be anchored likewise.",
        "Exact for circular shifts and for maps whose sides the strides divide; phases of equal norm are told apart by their place.",
    ),
)


def stage(depth: int, heads: int, stride: int, *, anchored: bool = True) -> Part[Stack]:
    """Positions, then blocks of windows and of sub-sampled attention in turn; `depth` counts the positions' block too."""
    mixers: tuple[Part[Mixer], ...] = (
        part(WindowAttention, heads=heads, window=stride),
        part(SubsampledAttention, heads=heads, stride=stride),
    )
    if anchored:
        mixers = tuple(part(Anchored, inner=mixer, stride=stride) for mixer in mixers)
    turns = tuple(part(PreNorm, parts=(mixer, part(MLP)), norm=part(LayerNorm)) for mixer in mixers)
    places = part(PreNorm, parts=(part(CircularConv),), norm=part(NoNorm))
    return part(Stack, depth=depth, blocks=(places, *(turns[i % 2] for i in range(depth - 1))))


RECIPE = Recipe(
    dim=64,
    model=part(
        ImageClassifier,
        tokens=part(AnchoredPatches, channels=FromData("channels")),
        backbone=part(Pyramid, stages=(stage(5, 4, 2),)),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__backbone__stages", (stage(3, 2, 2),))),
)
PLAIN = RECIPE.but(
    model__tokens=part(Patches, channels=FromData("channels")),
    model__backbone__stages=(stage(5, 4, 2, anchored=False),),
)
CLAIM = Claim(
    "no circular shift of an image changes the logits, with random weights too; without anchors, shifts within a patch or window do",
    experiment="shift_invariance",
    against="the same network without anchors",
    metric="logit_shift",
    margin=0.001,
    settings={"side": 16, "images": 8, "shifts": 7, "dim": 32, "tolerance": 1e-9, "seeds": 5, "baseline": "PLAIN"},
)
