"""EcoFormer: linear attention on binary codes, whose products and sums need no multiplication.

o_t = Σ_s (h(q_t)·h(k_s) + b + 1) v_s / Σ_s (…), h(x) = sign(A (κ(x̂) − μ)) in {−1, 1}^b: the product of two codes is b less twice their
Hamming distance. A is fitted to the attention's own similarities, bit after bit; gradients pass straight through the sign.
Bidirectional.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.linear.hashed import Hashed
from sequary.mixers.linear.kernel import KernelAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.encoder import TokenEncoder
from sequary.objectives.masked_tokens import MaskedTokens
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="ecoformer",
    title="EcoFormer: Energy-Saving Attention with Linear Complexity",
    kind="mixer",
    arxiv="2209.09004",
    year=2022,
    modalities=("image", "text"),
    notes=(
        "Queries and keys have maps of their own and share the hash functions; the released code has one map for both.",
        "The breadth of the hash's kernel is measured when it is fitted; the released code takes it from the input at hand, so that a "
        "token's code depends on the others.",
        "The released code adds (b + 1) v_t to the fraction's upper part instead of (b + 1) Σ v_s; its converter does so too.",
        "An encoder of tokens; the paper's hosts are image pyramids. Energy is not measured.",
    ),
)
attention = part(KernelAttention, heads=4, feature=part(Hashed, bits=16, refresh=500), bias=True)
block = part(PreNorm, parts=(attention, part(MLP)), norm=part(LayerNorm))
RECIPE = Recipe(
    dim=128,
    model=part(
        TokenEncoder,
        tokens=part(Embedding, vocab=FromData("vocab"), positions=512),
        backbone=part(Stack, depth=4, blocks=(block,), norm=part(LayerNorm)),
        head=part(Categorical, vocab=FromData("vocab"), bias=True),
    ),
    stages=(Stage(objective=MaskedTokens(), train=Train(lr=1e-3, batch=32, steps=2000, warmup=0.1)),),
    tiny=(("dim", 32), ("model__tokens__positions", 32), ("model__backbone__depth", 1)),
)
CLAIM = Claim(
    "fitted hash functions rate pairs more as softmax attention does than the signs of as many random projections",
    experiment="hashed_similarity",
    against="random hyperplanes",
    metric="correlation",
    better="higher",
    margin=0.02,
    settings={
        "tokens": 256, "width": 32, "centres": 16, "noise": 0.1, "bits": 16, "anchors": 24, "similar": 16, "temperature": 0.2, "seeds": 5,
    },
)  # fmt: skip
