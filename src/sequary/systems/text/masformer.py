"""MASFormer: a transformer whose layers have mixed spans, most of them a window, a few of them the whole past.

o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over t − window < s <= t in most layers, over all s <= t in a few; all layers have the same
weights, so that a trained transformer can go on with mixed spans on longer inputs. What is near is cheap, and one layer that sees all
suffices for what is far. Of the paper's sparse layers (blocks or windows) these are sliding windows; one layer in four sees all.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.local import CausalLocalAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="masformer",
    title="Efficient Long-Range Transformers: You Need to Attend More, but Not Necessarily at Every Layer",
    kind="mixer",
    arxiv="2310.12442",
    year=2023,
    aliases=("masformer-full", "masformer-local"),
    modalities=("text",),
    notes=(
        "No code of the authors is at hand; windows are those of sliding-window attention, and which layers see all is ours.",
        "Layers of both kinds have the same weights by name: a state dict of one loads into the other.",
    ),
)


def block(attention: Part[Mixer]) -> Part[PreNorm]:
    return part(PreNorm, parts=(attention, part(SwiGLU)))


near, far = block(part(CausalLocalAttention, heads=4, window=32)), block(part(CausalAttention, heads=4))
RECIPE = language_model(dim=128, depth=4, blocks=(near, near, far, near))
VARIANTS = {
    "masformer-full": RECIPE.but(model__backbone__blocks=(far, far, far, far)),
    "masformer-local": RECIPE.but(model__backbone__blocks=(near, near, near, near)),
}
CLAIM = Claim(
    "with one layer in four that sees all, it recalls from afar what it does with all of them, for two fifths of the scores",
    experiment="mixed_spans",
    against="masformer-full",
    metric="accuracy",
    better="higher",
    margin=-0.03,
    settings={
        "local": "masformer-local",
        "pairs": 4,
        "length": 96,
        "keys": 16,
        "values": 8,
        "window": 8,
        "share": 0.4,
        "seeds": 3,
        "train": {"dim": 32, "stages__0__train__steps": 1500, "stages__0__train__batch": 32},
        "grid": {"stages__0__train__lr": (3e-3,)},
        "live": {"train": {"dim": 32, "stages__0__train__steps": 40, "stages__0__train__batch": 32}},
    },
)
