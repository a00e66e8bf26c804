"""PolyCom: polynomials with learnt coefficients in place of the feed-forward's activation.

PolyReLU(x) = a_0 + Σ_{i<=3} a_i relu(x)^i; PolyNorm(x) = a_0 + Σ_{i<=3} a_i x^i / RMS(x^i), RMS over the hidden features, which keeps
powers of one size. y = W2 f(W1 x) without a gate; one set of coefficients a layer, 1/3 each at first. The recipe has PolyNorm.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.activated import ActivatedMLP
from sequary.mixers.mlp.activations import GELU
from sequary.mixers.mlp.polynomials import PolyNorm, PolyReLU
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="polycom",
    title="Polynomial Composition Activations: Unleashing the Dynamics of Large Language Models",
    kind="block",
    arxiv="2411.03884",
    year=2024,
    aliases=("polycom-polyrelu", "polycom-swiglu", "polycom-gelu"),
    modalities=("text", "any"),
    notes=(
        "The authors' `weight` lists the cube's coefficient first, ours the linear term's; their scalar bias is a_0.",
        "Powers are taken of scaled features, which is the same function and does not overflow; theirs are recomputed in the "
        "backward pass, which saves memory and is left to the training loop. Mixtures of experts are not built.",
    ),
)


def _model(mlp: Part[Mixer]) -> Recipe:
    return language_model(dim=128, depth=4, blocks=(part(PreNorm, parts=(part(CausalAttention, heads=4), mlp)),))


RECIPE = _model(part(ActivatedMLP, activation=part(PolyNorm)))
VARIANTS = {
    "polycom-polyrelu": _model(part(ActivatedMLP, activation=part(PolyReLU))),
    "polycom-gelu": _model(part(ActivatedMLP, activation=part(GELU))),
    "polycom-swiglu": _model(part(SwiGLU)),
}
TRAIN = {"dim": 64, "model__backbone__depth": 2, "stages__0__train__batch": 8}
CLAIM = Claim(
    "PolyNorm saves bits over SwiGLU at equal parameters and steps",
    experiment="twin_text",
    against="polycom-swiglu",
    metric="bits",
    margin=0.01,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 8,
        "train": {**TRAIN, "stages__0__train__steps": 2000},
        "grid": {"stages__0__train__lr": (3e-3, 1e-2)},
        "live": {
            "judged": 10_000,
            "train": {**TRAIN, "stages__0__train__steps": 80},
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
