"""HyperZZW: a convolution whose kernel, made by a small network of the place, is multiplied by the very input before they meet.

w = slow(place), a coordinate network; k_s = w_s ⊙ x_s; y_t = Σ_s k_s ⊙ z_{t−s}, z = GELU(F x): each token meets each other one, weighed by
where it stands. Beside this global branch local ones, whose small kernels also hear the mean of the sequence; all branches side by
side, a bottleneck, a norm that centres features, and no residual (Terminator). The kernels of the layers are drawn to each other.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.chain import Chain
from sequary.blocks.concatenated import Concatenated
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.heads.mean_pooled import MeanPooled
from sequary.mixers.conv.hyper import HyperConv, ImplicitConv
from sequary.mixers.conv.local_hyper import LocalHyper, LocalImplicit
from sequary.models.series import SeriesEncoder
from sequary.objectives.slow_feedback import SlowFeedback
from sequary.tokens.joint_patches import JointPatches

CARD = Card(
    id="hyperzzw",
    title="HyperZcdotZcdotW Operator Connects Slow-Fast Networks for Full Context Interaction",
    kind="mixer",
    arxiv="2401.17948",
    modalities=("image", "any"),
    notes=(
        "Sequences instead of images. The authors' code multiplies the matrices of an image where the paper convolves; here the global "
        "branch is a causal convolution, and one global and two local branches stand for their ten.",
        "Their local kernels hear the mean over a batch, ours that of the sequence; their norms over an image's cells are batch norms.",
        "The authors' optimiser, and the loss by which a deep layer's kernel follows wider ones, are left out but for equal widths.",
    ),
)


def _model(whole: Part[Mixer], near: tuple[Part[Mixer], ...]) -> Recipe:
    layer = part(Chain, parts=(part(Concatenated, parts=(whole, *near)),))
    return Recipe(
        dim=32,
        model=part(
            SeriesEncoder,
            tokens=part(JointPatches, channels=FromData("channels"), patch=1),
            backbone=part(Stack, depth=2, blocks=(layer,)),
            head=part(MeanPooled, head=part(Categorical, vocab=FromData("classes"), bias=True)),
        ),
        stages=(Stage(objective=SlowFeedback(), train=Train(lr=3e-3, batch=64, steps=600, patience=5)),),
        tiny=(("dim", 16),),
    )


RECIPE = _model(part(HyperConv, span=64), tuple(part(LocalHyper, taps=n) for n in (3, 15)))
ALONE = _model(part(ImplicitConv, span=64), tuple(part(LocalImplicit, taps=n, hidden=24) for n in (3, 15)))
CLAIM = Claim(
    "without residuals, kernels times their input tell more digits from their pixels than the same kernels alone",
    experiment="pixel_series",
    against="the same network with kernels that no input changes",
    metric="accuracy",
    better="higher",
    margin=0.01,
    settings={
        "side": 14, "learnt": 7000, "choose": 1000, "test": 2000, "recipes": {"system": "RECIPE", "baseline": "ALONE"},
        "train": {"stages__0__train__batch": 50, "stages__0__train__steps": 400}, "grid": (1e-2, 3e-3), "seeds": 10,
        "live": {
            "learnt": 1500, "test": 500, "side": 7, "grid": (1e-2,),
            "train": {"stages__0__train__batch": 50, "stages__0__train__steps": 60},
        },
    },
)  # fmt: skip
