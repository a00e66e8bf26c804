"""MRA: attention at several resolutions; the matrix of scores is constant on blocks, except on those that matter most, which are exact.

exp(q_t·k_s / √K) is kept for the key blocks likeliest by q̄·k̄ of block means, and is exp(q̄·k̄ / √K) on every other block; one softmax
over both. n·refined·block + (n / block)² scores. This is MRA-2, two resolutions, which the authors use. Bidirectional;
trained by predicting hidden tokens.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.multiresolution import MultiresolutionAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.encoder import TokenEncoder
from sequary.objectives.masked_tokens import MaskedTokens
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="mra-attention",
    title="Multi Resolution Analysis (MRA) for Approximate Self-Attention",
    kind="mixer",
    modalities=("text", "image", "any"),
    notes=(
        "Each block of queries refines as many blocks of keys; the paper takes the best blocks of the whole matrix.",
        "No outside implementation runs on a CPU: transformers' MraModel needs its CUDA kernel.",
        "The claim's scores have a standard deviation of 1. Where it is about ten, one key of a block decides, a mean says nothing, and "
        "both errors are 0.62.",
        "Combiner has the same idea, of a region read through a summary in the same softmax; there the regions are chosen beforehand.",
    ),
)
block = part(
    PreNorm, parts=(part(MultiresolutionAttention, heads=4, block=16, refined=4), part(MLP)), norm=part(LayerNorm)
)
RECIPE = Recipe(
    dim=128,
    model=part(
        TokenEncoder,
        tokens=part(Embedding, vocab=FromData("vocab"), positions=2048),
        backbone=part(Stack, depth=4, blocks=(block,), norm=part(LayerNorm)),
        head=part(Categorical, vocab=FromData("vocab"), bias=True),
    ),
    stages=(Stage(objective=MaskedTokens(), train=Train(lr=1e-3, batch=32, steps=2000, warmup=0.1)),),
    tiny=(
        ("dim", 32),
        ("model__tokens__positions", 32),
        ("model__backbone__depth", 1),
        ("model__backbone__blocks__0__parts__0__block", 4),
        ("model__backbone__blocks__0__parts__0__refined", 2),
    ),
)
CLAIM = Claim(
    "one number for each block that is left out of the exact ones brings attention nearer to the full one than leaving them out",
    experiment="multiresolution_error",
    against="its exact blocks alone",
    metric="error",
    margin=0.01,
    settings={
        "length": 512, "dim": 64, "heads": 4, "block": 16, "refined": 4, "smooth": 16, "spread": 1.0, "seeds": 5,
    },
)  # fmt: skip
