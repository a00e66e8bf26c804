"""Primer: the decoder block that a search over programs found; its portable half is two changes (Primer-EZ).

Squared ReLU in the feed-forward, y = W2 max(0, W1 x)², and multi-DConv-head attention: a causal depthwise convolution of width 3
over the projected queries, keys and values, (q, k, v)_t = b + Σ_{j<3} w_j ⊙ (W x)_{t−j}, a kernel for each head and channel.
The evolutionary search is left out. The host is our small language model with rotary positions, not T5.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.multi_dconv import MultiDConvAttention
from sequary.mixers.mlp.activated import ActivatedMLP
from sequary.mixers.mlp.activations import ReLU, SquaredReLU

CARD = Card(
    id="primer",
    title="Primer: Searching for Efficient Transformers for Language Modeling",
    kind="block",
    arxiv="2109.08668",
    year=2021,
    aliases=("primer-vanilla", "primer-relu2", "primer-dconv"),
    modalities=("text",),
    notes=(
        "Primer-EZ; of the full Primer's further changes (norms, softmax, tied projections) none is built, and not the search.",
        "labml-nn shares a convolution's kernels across heads, the paper has one for each head and channel: the converter repeats them.",
        "Declined: options of x-transformers' Decoder that are not Primer's, by name.",
    ),
)


def _model(attention: Part[Mixer], mlp: Part[Mixer]) -> Recipe:
    return language_model(dim=128, depth=4, blocks=(part(PreNorm, parts=(attention, mlp)),))


relu, relu2 = part(ActivatedMLP, activation=part(ReLU)), part(ActivatedMLP, activation=part(SquaredReLU))
plain, dconv = part(CausalAttention, heads=4), part(MultiDConvAttention, heads=4)
RECIPE = _model(dconv, relu2)
VARIANTS = {
    "primer-vanilla": _model(plain, relu),
    "primer-relu2": _model(plain, relu2),
    "primer-dconv": _model(dconv, relu),
}
TRAIN = {"dim": 64, "model__backbone__depth": 2, "stages__0__train__batch": 8}
CLAIM = Claim(
    "squared ReLU and convolved projections together save bits over the plain block at equal steps; each alone is noted beside",
    experiment="twin_text",
    against="primer-vanilla",
    metric="bits",
    margin=0.02,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 3,
        "beside": ("primer-relu2", "primer-dconv"),
        "train": {**TRAIN, "stages__0__train__steps": 600},
        "grid": {"stages__0__train__lr": (1e-3, 3e-3)},
        "live": {
            "judged": 10_000,
            "beside": (),
            "train": {**TRAIN, "stages__0__train__steps": 80},
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
