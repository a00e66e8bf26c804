"""URPE: a learnt Toeplitz matrix multiplies attention weights after the softmax, so that offsets alone can tell positions apart.

o_t = Σ_s softmax_s(q_t·k_s / √K + b_{s−t}) c_{s−t} v_s. With b alone the weights of a row sum to 1: where all tokens are equal, so are all
outputs, whatever b is, and no depth or width mends it. With c they need not. The recipe is an encoder without positions of its own that
predicts hidden tokens; `urpe-relative` is the same without c.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.postnorm import PostNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.offsets import EachOffset
from sequary.mixers.attention.universal import UniversalAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.encoder import TokenEncoder
from sequary.objectives.masked_tokens import MaskedTokens
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="urpe",
    title="Your Transformer May Not be as Powerful as You Expect",
    kind="mixer",
    arxiv="2205.13401",
    year=2022,
    aliases=("urpe-relative",),
    modalities=("any", "text"),
    notes=(
        "The authors' logarithmic buckets leave two numbers between negative and other offsets unused; `LogOffsets` keeps them.",
        "fairseq computes GELU in float32 whatever the weights are; so does the converter's.",
        "Tables are one for all layers in the authors' encoder, one a layer in the recipe.",
        "Declined: offset_positions_by_padding=False with positions, and activations other than fairseq's that its layer can call.",
        "Declined: an activation_fn that the source's layer cannot compute with; offset_positions_by_padding of False, which its "
        "positions need.",
    ),
)


def block(heads: int = 4, span: int = 128, *, universal: bool = True) -> Part[PostNorm]:
    bias, factor = (part(EachOffset, heads=heads, span=span, start=start) for start in (0.0, 1.0))
    attention = part(UniversalAttention, heads=heads, bias=bias, factor=factor if universal else None)
    return part(PostNorm, parts=(attention, part(MLP)))


RECIPE = Recipe(
    dim=128,
    model=part(
        TokenEncoder,
        tokens=part(Embedding, vocab=FromData("vocab")),
        backbone=part(Stack, depth=4, blocks=(block(),)),
        head=part(Categorical, vocab=FromData("vocab"), bias=True),
    ),
    stages=(Stage(objective=MaskedTokens(), train=Train(lr=1e-3, batch=32, steps=2000, warmup=0.1)),),
    tiny=(("dim", 32), ("model__backbone__depth", 1)),
)
VARIANTS = {"urpe-relative": RECIPE.but(model__backbone__blocks=(block(universal=False),))}
CLAIM = Claim(
    "where all tokens are equal it learns which place is which, and relative positions inside the softmax cannot",
    experiment="constant_tokens",
    against="urpe-relative",
    metric="accuracy",
    better="higher",
    margin=0.1,
    settings={
        "length": 16,
        "tolerance": 1e-10,
        "seeds": 3,
        "train": {"dim": 32, "model__backbone__depth": 2, "stages__0__train__steps": 600, "stages__0__train__batch": 8},
        "grid": {"stages__0__train__lr": (3e-3,)},
    },
)
