"""Activator: a vision transformer whose attention is a gated linear unit, and whose second feed-forward may go as well.

y = x + W₃ (norm(gelu(W₁ n)) ⊙ norm(W₂ n)), n = norm(x), for each patch by itself, then, in the larger variant, y + F(norm y). No patch
reads another before the mean over all of them: what relations between patches say is out of reach, and what is left costs no
products of tokens with tokens.
"""

from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.mlp.normed_glu import NormedGLU
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.patches2d import Patches

CARD = Card(
    id="activator-glu",
    title="Activator: GLU Activations as The Core Functions of a Vision Transformer",
    kind="mixer",
    arxiv="2405.15953",
    year=2024,
    modalities=("image",),
    notes=(
        "In the authors' code the unit acts on features, token by token, and a block has one norm for both of its branches; here each has "
        "its own. A unit over tokens, of which the catalogue speaks, is not theirs.",
        "A published run of theirs has 4 blocks of 256 features, 512 inside, on patches of 4 pixels; the recipe is that.",
        "The claim gives both arms learned positions, which the authors' code has not; it is about the larger variant.",
    ),
)


def stage(depth: int, *parts: Part[Mixer]) -> Part[Stack]:
    return part(Stack, depth=depth, blocks=(part(PreNorm, parts=parts, norm=part(LayerNorm)),))


RECIPE = Recipe(
    dim=256,
    model=part(
        ImageClassifier,
        tokens=part(Patches, channels=FromData("channels"), patch=4, norm=False),
        backbone=part(Pyramid, stages=(stage(4, part(NormedGLU), part(MLP, ratio=2.0)),)),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=128, steps=2000, warmup=0.1)),),
    tiny=(("dim", 16), ("model__tokens__patch", 2), ("model__backbone__stages__0__depth", 1)),
)
SIZES = {"glu-only": {"model__backbone__stages__0__blocks__0__parts": (part(NormedGLU),)}}
PLACED = RECIPE.but(dim=48, model__tokens__grid=(7, 7), stages__0__train__batch=32)
GLU = PLACED.but(model__backbone__stages=(stage(3, part(NormedGLU, ratio=4 / 3), part(MLP, ratio=2.0)),))
VIT = PLACED.but(model__backbone__stages=(stage(3, part(Attention), part(MLP, ratio=2.0)),))
CLAIM = Claim(
    "a network of gated units, whose patches never meet, tells as many digits as attention with as many weights, within two in a hundred",
    experiment="image_classes",
    against="attention in place of the gated units",
    metric="accuracy",
    better="higher",
    margin=-0.02,
    settings={
        "task": "digits",
        "learnt": 4000,
        "choose": 1000,
        "test": 4000,
        "recipes": {"system": "GLU", "baseline": "VIT"},
        "train": {"stages__0__train__steps": 300},
        "grid": (1e-3, 3e-3),
        "live": {"learnt": 1000, "test": 500, "grid": (3e-3,), "train": {"stages__0__train__steps": 50}},
    },
)
