"""Deep encoder, shallow decoder: for sequence to sequence, layers moved from the decoder to the encoder (12 and 1 instead of 6 and 6).

memory = encoder(source), once and in parallel; y_t ~ softmax(W decoder(y_<t, memory)), once a symbol. Both are the post-norm
transformer: x ← norm(x + attention(x)), in the decoder x ← norm(x + cross(x, memory)), x ← norm(x + mlp(x)); one table of symbols
serves source, target and output. Cross-attention's keys and values are computed once and kept in the state. The paper trains on a
teacher's translations: `objectives.distilled.retold` makes such batches, with which the stage below is then run.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.postnorm import PostNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Tied, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.decode.beam import Beam
from sequary.heads.shared_symbols import SharedSymbols
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.cross import CrossAttention
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.models.encdec import EncoderDecoder
from sequary.objectives.tokens import NextToken
from sequary.tokens.scaled_symbols import ScaledSymbols
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="deep-encoder-shallow-decoder",
    title="Deep Encoder, Shallow Decoder: Reevaluating Non-autoregressive Machine Translation",
    kind="backbone",
    arxiv="2006.10369",
    year=2020,
    modalities=("text",),
    notes=(
        "Parity is with Marian in transformers, a stand-in for the authors' fairseq model: the same post-norm transformer, whose "
        "position table, rounded to float32, the converter takes over. Marian counts source positions over padding too.",
        "Declined: an activation other than relu, gelu, silu or swish, which the released models have.",
    ),
)
words = Tied("words", part(Embedding, vocab=FromData("vocab")))
symbols = part(ScaledSymbols, words=words)
attend = part(CausalAttention, heads=4, base=None, bias=True)
mlp = part(MLP, activation="relu")
RECIPE = Recipe(
    dim=256,
    model=part(
        EncoderDecoder,
        source=symbols,
        target=symbols,
        encoder=part(Stack, depth=12, blocks=(part(PostNorm, parts=(part(Attention, heads=4), mlp)),)),
        decoder=part(Stack, depth=1, blocks=(part(PostNorm, parts=(attend, part(CrossAttention, heads=4), mlp)),)),
        head=part(SharedSymbols, words=words),
    ),
    stages=(Stage(objective=NextToken(), train=Train(lr=5e-4, batch=32, steps=4000, warmup=0.1, betas=(0.9, 0.98))),),
    decode=Beam(new=64, width=5),
    tiny=(("dim", 32), ("model__encoder__depth", 2)),
)
heads = ("encoder__blocks__0__parts__0", "decoder__blocks__0__parts__0", "decoder__blocks__0__parts__1")
SIZES = {
    "balanced": {"model__encoder__depth": 6, "model__decoder__depth": 6},
    "base": {"dim": 512, **{f"model__{path}__heads": 8 for path in heads}},
}
CLAIM = Claim(
    "with layers moved to the encoder, the accuracy of the balanced model within a point, in less decoding time, for one row and for many",
    experiment="translation_speed",
    against="deep-encoder-shallow-decoder",
    metric="accuracy",
    better="higher",
    margin=-0.01,
    settings={
        "symbols": 12,
        "length": 12,
        "rows": 64,
        "system": {"model__encoder__depth": 7, "model__decoder__depth": 1},
        "baseline": {"model__encoder__depth": 4, "model__decoder__depth": 4},
        "train": {"dim": 64},
        "grid": {"stages__0__train__lr": (1e-3, 2e-3)},
        "live": {"train": {"dim": 64, "stages__0__train__steps": 500}, "grid": {"stages__0__train__lr": (1e-3,)}},
    },
)
