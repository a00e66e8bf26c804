"""ComplexFormer: queries and keys in polar form, whose phases of meaning and of position each head weighs in its own way.

score = Σ_i r_{q,i} r_{k,i} cos(a_{h,i} (θ_{q,i} − θ_{k,i}) + b_{h,i} + d_{h,i} ω_i (t − s)) / √K. At a = 1, b = 0, d = 1 it is
rotary attention, where every head turns alike. The paper has been withdrawn and its text was not at hand: the form of its two maps,
Adapt (here a · + b) and Delta (here d ·), is ours. Affine maps keep the score a product of a query and a key, so it costs what rotary
attention does.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.polar import PolarAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="complexformer",
    title="ComplexFormer: Disruptively Advancing Transformer Inference Ability via Head-Specific Complex Vector Attention",
    kind="mixer",
    arxiv="2505.10222",
    year=2025,
    aliases=("complexformer-rotary",),
    modalities=("text",),
    notes=("Built from the abstract; the paper has been withdrawn. Adapt and Delta are affine and linear here.",),
)


def block(attention: Part[Mixer]) -> Part[PreNorm]:
    return part(PreNorm, parts=(attention, part(SwiGLU)))


RECIPE = language_model(dim=128, depth=4, blocks=(block(part(PolarAttention, heads=4)),))
VARIANTS = {"complexformer-rotary": RECIPE.but(model__backbone__blocks=(block(part(CausalAttention, heads=4)),))}
CLAIM = Claim(
    "phases that each head scales by itself tell more than the same rotary angles for all heads",
    experiment="twin_text",
    against="complexformer-rotary",
    metric="bits",
    margin=0.005,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 3,
        "train": {"stages__0__train__steps": 500, "stages__0__train__batch": 8},
        "grid": {"stages__0__train__lr": (3e-3,)},
        "live": {"judged": 2_000, "train": {"stages__0__train__steps": 40, "stages__0__train__batch": 8}},
    },
)
