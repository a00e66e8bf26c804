"""Adaptive computation modules: a feed-forward in slices that refine each other's sum, as many of them for a token as it needs.

y = b_0 + Σ_{j <= k} L_j(x), k = gate(x) of 0 … N; gates draw by Gumbel-softmax in training and take the likeliest later, when a learner
runs on its own tokens alone. A trained model is converted by an edit: learners are distilled on what each old module read and said,
gates learn the least k that is near enough, and all is tuned by the old loss, held to a mean share of the learners. The recipe is the
model before its edit.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.edit.adapted import Adapted
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.adaptive import AdaptiveMLP
from sequary.mixers.mlp.dense import MLP

CARD = Card(
    id="adaptive-computation-module",
    title="Adaptive Computation Modules: Granular Conditional Computation For Efficient Inference",
    kind="block",
    arxiv="2312.10193",
    year=2023,
    aliases=("adaptive-computation-module-scratch",),
    modalities=("image", "audio", "any"),
    notes=(
        "Feed-forwards are exchanged; the projections of attention, which the paper exchanges too, are not.",
        "Gates draw in training and take the likeliest later, so that the share asked for is met by the draws, and later near it. The "
        "gate's labels are the least number of learners within a relative error; the distillation's error stops at each learner, as in "
        "the authors' code, and the tuning's does not. Terms for unlike choices follow that code, weighted together by one number.",
        "The paper converts vision and speech models; the recipe and its claim are of a small language model. An edit of the library opens "
        "plain stacks, so image pyramids are not converted.",
    ),
)
parts = (part(CausalAttention, heads=4), part(MLP))
RECIPE = language_model(dim=128, depth=4, blocks=(part(PreNorm, parts=parts),)).but(edits=(Adapted(),))
VARIANTS = {
    "adaptive-computation-module-scratch": RECIPE.but(
        model__backbone__blocks__0__parts__1=part(AdaptiveMLP, learners=4, hidden=128), edits=()
    ),
}
TRAIN = {"dim": 64, "model__backbone__depth": 2, "stages__0__train__batch": 8, "stages__0__train__lr": 3e-3}
CLAIM = Claim(
    "with half of its learners on average, chosen for each token, a converted model needs fewer bits than one converted to half of them "
    "for all tokens, and less time than with all",
    experiment="learners_per_token",
    against="the first half of the learners for all tokens",
    metric="bits",
    margin=0.005,
    settings={
        "context": 128,
        "judged": 50_000,
        "calibration": 256,
        "learners": 4,
        "keep": 0.5,
        "steps": (300, 200, 300),
        "seeds": 10,
        "train": {**TRAIN, "stages__0__train__steps": 600},
        "live": {
            "judged": 10_000,
            "calibration": 32,
            "steps": (60, 40, 40),
            "train": {**TRAIN, "stages__0__train__steps": 80},
        },
    },
)
