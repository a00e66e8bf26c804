"""CoFrGeNet: a feed-forward of continued fractions in place of a wide layer, with half the parameters or fewer.

y = U x + Σ_j V_j ⊙ f(W_j1 ⊙ x̂, …, W_jd ⊙ x̂), x̂ = σ(G x) ⊙ x; f(a) = 1 / (a_1 + 1 / (a_2 + …)) = K_{d−1} / K_d by continuants, with one
division and ∂f/∂a_k = (−1)^k (K_{d−k} / K_d)². A fraction is a rational function of one feature; U and G, dim × dim, let features meet.
The depth here is even and W starts positive, so that no fraction begins near a pole.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.continued import ContinuedMLP
from sequary.mixers.mlp.dense import MLP

CARD = Card(
    id="cofrgenet",
    title="CoFrGeNet: Continued Fraction Architectures for Language Generation",
    kind="block",
    arxiv="2601.21766",
    year=2026,
    aliases=("cofrgenet-narrow", "cofrgenet-full"),
    modalities=("text",),
    notes=(
        "The form with fractions in the feed-forward alone; those that replace attention are not built. The authors publish no code: "
        "the layer is as a public re-implementation describes it after the paper's equation.",
        "The catalogue's row has a fraction of linear forms for each output; the paper's acts on single features, and so is small.",
        "That re-implementation starts W at a deviation of 0.02 with a depth of 5, next to the pole at 0, and frees the entries one after "
        "another (half, a quarter … of the steps); here W starts between 0.5 and 1.5 and all of it learns from the first step.",
        "Where a denominator is held away from 0 the gradient is that of what was computed, not the formula's, which would jump there.",
    ),
)


def _model(mlp: Part[Mixer]) -> Recipe:
    return language_model(dim=128, depth=4, blocks=(part(PreNorm, parts=(part(CausalAttention, heads=4), mlp)),))


RECIPE = _model(part(ContinuedMLP, ladders=3, depth=4))
VARIANTS = {
    "cofrgenet-narrow": _model(part(MLP, ratio=1.125, bias=False)),
    "cofrgenet-full": _model(part(MLP, ratio=4.0, bias=False)),
}
TRAIN = {"dim": 64, "model__backbone__depth": 2, "stages__0__train__batch": 8}
CLAIM = Claim(
    "fractions save bits over a GELU feed-forward of the same size, about a quarter of the usual one, which is noted beside",
    experiment="twin_text",
    against="cofrgenet-narrow",
    metric="bits",
    margin=0.02,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 17,
        "beside": ("cofrgenet-full",),
        "train": {**TRAIN, "stages__0__train__steps": 2000},
        "grid": {"stages__0__train__lr": (3e-3, 1e-2)},
        "live": {
            "judged": 10_000,
            "beside": (),
            "train": {**TRAIN, "stages__0__train__steps": 80},
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
