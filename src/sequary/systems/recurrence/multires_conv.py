"""Multiresolution convolution: two short filters, used at every scale of a tree of dilations, remember the whole past of a channel.

a_0 = x, a_j[t] = Σ_k h0[k] a_{j-1}[t − 2^{j-1} k], b_j[t] = Σ_k h1[k] a_{j-1}[t − 2^{j-1} k]: recent details finely, distant ones
coarsely. y = w_0 a_J + Σ_j w_j b_j + w_x x, J levels and 2 K + J + 2 numbers a channel for a reach of (K − 1)(2^J − 1) tokens; then
GELU, a gated linear unit, the residual and the norm. Time is linear in the length, the state is what the levels read.
"""

from sequary.blocks.postnorm import PostNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Recurrent
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.mixers.conv.multires import MultiresConv, MultiresLayer
from sequary.mixers.conv.short import ShortConv

CARD = Card(
    id="multires-conv",
    title="Sequence Modeling with Multiresolution Convolutional Memory",
    kind="mixer",
    arxiv="2305.01638",
    year=2023,
    aliases=("multires-conv-plain",),
    modalities=("text", "audio", "image", "any"),
    notes=(
        "Coefficients are chosen by resolution fading, one weight a level; the uniform choice is in the converter only, since the "
        "authors' code dilates its taps by the next coarser level.",
        "The recipe is a small language model; the paper classifies images, operations and heartbeats.",
    ),
)


def _model(conv: Part[Recurrent]) -> Recipe:
    return language_model(dim=128, depth=6, blocks=(part(PostNorm, parts=(part(MultiresLayer, conv=conv),)),))


RECIPE = _model(part(MultiresConv, taps=2, depth=8))
VARIANTS = {"multires-conv-plain": _model(part(ShortConv, taps=13, bias=True))}
CLAIM = Claim(
    "14 numbers a channel, spent on a tree of dilations, tell more of a text than spent on a plain convolution of 13 taps and a bias",
    experiment="twin_text",
    against="multires-conv-plain",
    metric="bits",
    margin=0.02,
    settings={
        "context": 256,
        "judged": 50_000,
        "seeds": 3,
        "train": {"dim": 64, "model__backbone__depth": 4, "stages__0__train__batch": 8, "stages__0__train__steps": 500},
        "grid": {"stages__0__train__lr": (3e-3, 1e-3)},
        "live": {
            "judged": 10_000,
            "context": 128,
            "train": {
                "dim": 64,
                "model__backbone__depth": 2,
                "stages__0__train__batch": 8,
                "stages__0__train__steps": 60,
            },
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
