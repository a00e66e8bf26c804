"""Visual Attention Network: a large convolution, cheap by three factors, multiplies its own input as attention does.

y = x ⊙ W D₃(D(x)): a 5 × 5 and a 7 × 7 depthwise convolution, the second dilated by 3, then a map of channels: they see as far as a
21 × 21 kernel for 74 weights a channel instead of 441, and gate space and channels alike. Block: x + λ₁ A(BN x), then
x + λ₂ F(BN x), A the gate between two maps with a residual of its own, F a feed-forward with a 3 × 3 depthwise convolution.
"""

from sequary.backbones.overlap_down import OverlapDown
from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.layer_scale import LayerScaled
from sequary.blocks.norms import BatchNorm, LayerNorm, NoNorm
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.conv.depthwise_mlp import DepthwiseMLP
from sequary.mixers.conv.large_kernel import LargeKernelAttention, LargeKernelSum, VisualAttention
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.overlap_patches import OverlapPatches

CARD = Card(
    id="van-lka",
    title="Visual Attention Network",
    kind="mixer",
    arxiv="2202.09741",
    year=2022,
    modalities=("image",),
    notes=(
        "The two convolutions together see 23 cells a side, of which the paper counts 21. Each has zeros of its own at the border, so that "
        "near it they are not one convolution.",
        "The recipe is small; stochastic depth and dropout are left out.",
        "Its claim's marks stand at fixed places: where they stand anywhere in their quarters, neither arm learns within its budget.",
        "Declined: num_stages whose last width is not that of the fourth stage, and act_layer other than GELU and ReLU in Block.",
    ),
)


def stage(depth: int, ratio: float = 4.0, core: Part[Mixer] = part(LargeKernelAttention)) -> Part[Stack]:
    attention = part(VisualAttention, core=core)
    block = part(LayerScaled, parts=(attention, part(DepthwiseMLP, ratio=ratio)), norm=part(BatchNorm))
    return part(Stack, depth=depth, blocks=(block,), norm=part(LayerNorm, eps=1e-6))


RECIPE = Recipe(
    dim=32,
    model=part(
        ImageClassifier,
        tokens=part(OverlapPatches, channels=FromData("channels")),
        backbone=part(Pyramid, stages=(stage(2, 8.0), stage(2), stage(2)), down=part(OverlapDown), norm=part(NoNorm)),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__backbone__stages", (stage(1), stage(1)))),
)
FLAT = {"model__tokens__patch": 3, "model__tokens__stride": 2}
GATED = RECIPE.but(**FLAT, model__backbone__stages=(stage(2, 2.0),))
SUMMED = RECIPE.but(**FLAT, model__backbone__stages=(stage(2, 2.0, part(LargeKernelSum)),))
SHORT = {"stages__0__train__batch": 32, "stages__0__train__steps": 600, "stages__0__train__evaluate_every": 25}
CLAIM = Claim(
    "comparing two marks far apart is learnt in fewer steps by convolutions that multiply their input than by the same ones added to it",
    experiment="steps_to_learn",
    against="the same network with the convolutions added",
    metric="steps",
    settings={
        "task": "marks", "side": 16, "kinds": 2, "places": 1, "until": 0.35, "learnt": 19_200, "choose": 500, "test": 1,
        "recipes": {"system": "GATED", "baseline": "SUMMED"}, "train": SHORT, "grid": (1e-3, 2e-3), "seeds": 5,
        "live": {"learnt": 3200, "grid": (2e-3,), "train": {**SHORT, "stages__0__train__steps": 100}},
    },
)  # fmt: skip
