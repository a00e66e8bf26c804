"""Transformer layers as a differential equation: attention and feed-forward side by side are one Euler step of it.

dx/ds = f(x) = attention(LN x) + MLP(LN x). x + f(x), the parallel block, is an Euler step of length 1; a finer solver (RK4: four slopes
a step, of order h⁴) with the same weights follows the equation more closely. Sequential blocks are no such step, for their
feed-forward reads what attention has already moved. Weights are shared by the steps of a block.
"""

from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.integrated import Integrated
from sequary.blocks.parallel import Parallel
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.ops.runge_kutta import EULER
from sequary.tokens.patches2d import Patches

CARD = Card(
    id="ode-transformer-parallel",
    title="A Neural ODE Interpretation of Transformer Layers",
    kind="block",
    arxiv="2212.06011",
    year=2022,
    modalities=("any", "text", "image"),
    notes=(
        "Solvers of fixed steps, gradients through the steps. An adaptive solver is left out: it chooses its steps by the error over a "
        "whole batch, so that a row's output would depend on the rows beside it.",
        "The order of each solver on a block, h for Euler and h⁴ for RK4, is a test; the claim asks whether the finer one "
        "classifies better. EULER_STEPS is the parallel block; the usual sequential one has another norm and is not compared.",
    ),
)
block = part(Integrated, inner=part(Parallel, parts=(part(Attention, heads=4), part(MLP))))
RECIPE = Recipe(
    dim=64,
    model=part(
        ImageClassifier,
        tokens=part(Patches, channels=FromData("channels"), grid=(7, 7)),
        backbone=part(Pyramid, stages=(part(Stack, depth=2, blocks=(block,)),)),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__tokens__grid", (4, 4)), ("model__backbone__stages__0__depth", 1)),
)
EULER_STEPS = RECIPE.but(model__backbone__stages__0__blocks__0__solver=EULER)
CLAIM = Claim(
    "with the same weights to learn, a block solved by RK4 tells more digits than one Euler step of it, the parallel block",
    experiment="image_classes",
    against="one Euler step",
    metric="accuracy",
    better="higher",
    settings={
        "task": "digits", "learnt": 4000, "choose": 1000, "test": 4000, "recipes": {"baseline": "EULER_STEPS"},
        "train": {"dim": 32, "stages__0__train__steps": 300},
        "grid": (1e-3, 3e-3),
        "live": {
            "learnt": 1000, "test": 500, "grid": (3e-3,), "train": {"dim": 32, "stages__0__train__steps": 50},
        },
    },
)  # fmt: skip
