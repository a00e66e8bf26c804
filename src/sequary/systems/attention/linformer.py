"""Linformer: attention whose keys and values are mapped along the sequence from n positions to k.

o = softmax(q (Eᵀ k)ᵀ / √K) (Fᵀ v) with learned E, F of shape n × k: cost n·k instead of n². Bidirectional, and built for one
greatest length n. E and F may be one for both, one for all heads (here), one for each head, one for all layers (`Tied`), or
plain means. Trained by predicting hidden tokens.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.linformer import LinformerAttention
from sequary.mixers.attention.pools import LearnedPool
from sequary.mixers.mlp.dense import MLP
from sequary.models.encoder import TokenEncoder
from sequary.objectives.masked_tokens import MaskedTokens
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="linformer",
    title="Linformer: Self-Attention with Linear Complexity",
    kind="mixer",
    arxiv="2006.04768",
    year=2020,
    modalities=("text", "any"),
    notes=(
        "Goldens and converter are of the package linformer (third-party): share_kv there shares the linear map of keys and "
        "values too, more than the paper's sharing of E and F. Its reversible coupling adds the two streams at the end.",
        "Shorter sequences use the first rows of E, as if filled up with zeros; real tokens choose their row by position, so "
        "that padding on the left changes nothing.",
        "Convolution and max pooling as projections (section 4 of the paper) are left out.",
    ),
)


def block(length: int, size: int, heads: int) -> Part[PreNorm]:
    pool = part(LearnedPool, length=length, size=size)
    attention = part(LinformerAttention, length=length, heads=heads, keys=pool, values=pool)
    return part(PreNorm, parts=(attention, part(MLP)), norm=part(LayerNorm))


RECIPE = Recipe(
    dim=768,
    model=part(
        TokenEncoder,
        tokens=part(Embedding, vocab=FromData("vocab"), positions=512),
        backbone=part(Stack, depth=12, blocks=(block(512, 128, 12),), norm=part(LayerNorm)),
        head=part(Categorical, vocab=FromData("vocab"), bias=True),
    ),
    stages=(Stage(objective=MaskedTokens(), train=Train(lr=1e-3, batch=32, steps=2000, warmup=0.1)),),
    tiny=(
        ("dim", 32),
        ("model__tokens__positions", 32),
        ("model__backbone__depth", 1),
        ("model__backbone__blocks", (block(32, 16, 2),)),
    ),
)
CLAIM = Claim(
    "with E = F = identity it is full attention, and from 512 to 4096 tokens its time grows nearly linearly where full "
    "attention's grows nearly with the square",
    experiment="cost_exponent",
    against="full attention",
    metric="exponent",
    margin=0.1,
    settings={
        "lengths": (512, 1024, 2048, 4096), "size": 64, "dim": 64, "heads": 4, "repeats": 15, "near_linear": 1.2,
        "seeds": 5, "live": {"repeats": 7},
    },
)  # fmt: skip
