"""CART: one block of weights run several times in the middle of a language model, over keys and values that are computed once.

Prelude of P layers, then `AnchoredLoop`: k, v from a latent of its input, and R rounds H ← a ⊙ (M H) + β b ⊙ core(Σ α H + e_r; k, v) with
0 < a < 1, then a coda. A transformer of its unrolled depth would have keys and values for each round, in memory as in work. The paper's
own finding is sober: the prelude's depth matters more than the rounds, and it does not beat a dense model of as many parameters.
"""

from sequary.blocks.anchored_loop import AnchoredLoop
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="cart",
    title="CART: Context-Anchored Recurrent Transformer -- A Parameter-Efficient Architecture with Learned Stability",
    kind="block",
    arxiv="2606.01495",
    year=2026,
    aliases=("cart-looped", "cart-dense"),
    modalities=("text",),
    notes=(
        "Built from the abstract: how the gate, the streams and the loop's index meet is ours, as are the widths and where a and b start.",
        "Rows of the streams' mixing matrix sum to 1, so that the spectral radius is the greatest a and below 1 by construction.",
        "Queries and keys are turned whole by rotary angles, and the cache holds keys and values, not the latents.",
    ),
)
layer = part(PreNorm, parts=(part(CausalAttention, heads=4), part(SwiGLU)))


def _model(prelude: int, rounds: int) -> Recipe:
    blocks = (*(prelude * (layer,)), part(AnchoredLoop, heads=4, loops=rounds), layer)
    return language_model(dim=128, depth=prelude + 2, blocks=blocks)


RECIPE = _model(3, 4).but(tiny=(("dim", 32), ("model__tokens__vocab", 32), ("model__head__vocab", 32)))
VARIANTS = {"cart-looped": _model(1, 8), "cart-dense": language_model(dim=128, depth=5, blocks=(layer,))}
TRAIN = {"dim": 64, "stages__0__train__batch": 8}
CLAIM = Claim(
    "two more layers before the loop save more bits than four more rounds of it, and no other number of rounds serves better than the "
    "trained one; a dense model of about as many parameters is noted beside",
    experiment="loop_counts",
    against="cart-looped",
    metric="bits",
    margin=0.005,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 5,
        "fewer": -2,
        "more": 2,
        "beside": ("cart-dense",),
        "train": {**TRAIN, "stages__0__train__steps": 350},
        "grid": {"stages__0__train__lr": (3e-3,)},
        "live": {"judged": 5_000, "beside": (), "train": {**TRAIN, "stages__0__train__steps": 40}},
    },
)
