"""Blockwise parallel decoding: k heads propose the next k symbols, one call verifies them, the longest right prefix is kept.

y_{n+i} = argmax p_i(· | y_1..y_n), i = 1..k; accept up to the first symbol that p_1 would not have produced. With exact
acceptance the output is that of greedy decoding, in fewer calls. Each head has its own hidden layer and they share the
vocabulary projection.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import RMSNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Tied, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.decode.blockwise import Blockwise
from sequary.heads.ahead import Ahead
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU
from sequary.models.language import LanguageModel
from sequary.objectives.tokens import NextToken
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="blockwise-parallel-decoding",
    title="Blockwise Parallel Decoding for Deep Autoregressive Models",
    kind="decoding",
    arxiv="1811.03115",
    year=2018,
    modalities=("text", "image", "any"),
    notes=("Rows of a batch advance by the shortest accepted block among them, so that their states stay in step.",),
)
words = Tied("vocabulary", part(Categorical, vocab=FromData("vocab")))
further = part(Ahead, out=words)
block = part(PreNorm, parts=(part(CausalAttention, heads=4), part(SwiGLU)))
RECIPE = Recipe(
    dim=256,
    model=part(
        LanguageModel,
        tokens=part(Embedding, vocab=FromData("vocab")),
        backbone=part(Stack, depth=6, blocks=(block,), norm=part(RMSNorm)),
        head=words,
        ahead=(further, further, further),
    ),
    stages=(Stage(objective=NextToken(), train=Train(lr=1e-3, batch=16, steps=2000, warmup=0.05)),),
    decode=Blockwise(new=64),
    tiny=(("dim", 32), ("model__backbone__depth", 2)),
)
CLAIM = Claim(
    "greedy output, symbol for symbol, in fewer model calls than one a symbol",
    experiment="blockwise_exactness",
    against="gpt",
    metric="calls_per_symbol",
    settings={
        "train": {
            "dim": 128, "model__backbone__depth": 2,
            "stages__0__train__steps": 800, "stages__0__train__lr": 2e-3, "stages__0__train__warmup": 0.1,
        },
        "context": 64, "judged": 20_000, "prompts": 20, "new": 100,
        "live": {
            "train": {"dim": 64, "model__backbone__depth": 2, "stages__0__train__steps": 200, "stages__0__train__lr": 4e-3},
            "judged": 2000, "prompts": 5,
        },
    },
)  # fmt: skip
