"""Neural attention: a small network on each pair of a query and a key gives its score, in place of their dot product.

score_ts = w_h · relu(W_q q_t + W_k k_s + b), with few hidden units a head; then the usual mask, softmax and values. The first layer of the
network on [q, k] falls apart into what each side gives; units are taken one at a time, and again in the backward pass, so that memory
is that of one score matrix. As in the paper it stands in the first layer alone, the others have dot products (rotary here).
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.neural import NeuralAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="neural-attention",
    title="Neural Attention: A Novel Mechanism for Enhanced Expressive Power in Transformer Models",
    kind="mixer",
    arxiv="2502.17206",
    year=2025,
    aliases=("neural-attention-dot",),
    modalities=("any", "text", "image"),
    notes=(
        "The abstract prints more than 5 % less perplexity in its first version and more than 2 % in a later one.",
        "The projections to queries and keys and those to hidden units follow one another without anything between: they are one here.",
    ),
)


def block(attention: Part[Mixer]) -> Part[PreNorm]:
    return part(PreNorm, parts=(attention, part(SwiGLU)))


dot = block(part(CausalAttention, heads=4))
first, plain = block(part(NeuralAttention, heads=4, units=32)), block(part(CausalAttention, heads=4, base=None))
RECIPE = language_model(dim=128, depth=4, blocks=(first, dot, dot, dot))
VARIANTS = {"neural-attention-dot": RECIPE.but(model__backbone__blocks=(plain, dot, dot, dot))}
CLAIM = Claim(
    "scores of a network in the first layer tell more than dot products there",
    experiment="twin_text",
    against="neural-attention-dot",
    metric="bits",
    margin=0.005,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 6,
        "train": {"stages__0__train__steps": 500, "stages__0__train__batch": 8},
        "grid": {"stages__0__train__lr": (3e-3,)},
        "live": {"judged": 2_000, "train": {"stages__0__train__steps": 30, "stages__0__train__batch": 8}},
    },
)
