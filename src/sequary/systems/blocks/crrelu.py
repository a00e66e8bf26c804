"""CRReLU: ReLU plus a small learnt bump around zero, found by asking which correction lowers an entropy of activations.

f(x) = max(0, x) + ε x exp(−x²/2), one ε for a layer, 0.01 at first: inputs just below zero keep a gradient, and far from zero it is ReLU.
The procedure that derives corrections of other activations (EAFO) is not built.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.activated import ActivatedMLP
from sequary.mixers.mlp.activations import GELU, Activation, ReLU, SiLU
from sequary.mixers.mlp.crrelu import CRReLU

CARD = Card(
    id="crrelu",
    title="A Method on Searching Better Activation Functions",
    kind="block",
    arxiv="2405.12954",
    year=2024,
    aliases=("crrelu-relu", "crrelu-gelu", "crrelu-silu"),
    modalities=("any", "text"),
    notes=(
        "No code of the authors is at hand; the formula is held to a test of its own.",
        "The paper measures vision transformers and the tuning of language models; the recipe and its claim are of a small language model.",
    ),
)


def _model(activation: Part[Activation]) -> Recipe:
    parts = (part(CausalAttention, heads=4), part(ActivatedMLP, activation=activation))
    return language_model(dim=128, depth=4, blocks=(part(PreNorm, parts=parts),))


RECIPE = _model(part(CRReLU))
VARIANTS = {
    "crrelu-relu": _model(part(ReLU)),
    "crrelu-gelu": _model(part(GELU)),
    "crrelu-silu": _model(part(SiLU)),
}
TRAIN = {"dim": 64, "model__backbone__depth": 2, "stages__0__train__batch": 8}
CLAIM = Claim(
    "the correction saves bits over ReLU at equal steps; GELU and SiLU are noted beside",
    experiment="twin_text",
    against="crrelu-relu",
    metric="bits",
    margin=0.005,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 3,
        "beside": ("crrelu-gelu", "crrelu-silu"),
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
