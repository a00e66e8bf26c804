"""The recurrent transformer: each layer attends to its own outputs of earlier tokens, so that depth grows with time.

o_t = attention of q_t to (k_s, v_s), s < t, and to a key and value of x_t itself; a_t = x_t + W_o o_t, y_t = a_t + mlp(a_t);
(k_t, v_t) = W norm(y_t): computed from what the layer said, where a transformer takes what it was told. Cache and cost of writing are a
transformer's. Training goes token by token, but finished keys are read in tiles of 2^j, T log T reads in all (ops/recurrent_layer.py).
"""

from sequary.blocks.prenorm import PreNorm
from sequary.blocks.recurrent_layer import RecurrentLayer
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP

CARD = Card(
    id="recurrent-transformer",
    title="The Recurrent Transformer: Greater Effective Depth and Efficient Decoding",
    kind="mixer",
    arxiv="2604.21215",
    year=2026,
    aliases=("recurrent-transformer-plain",),
    modalities=("text",),
    notes=(
        "Built from the abstract: which norm and projection a token's own key and value have is ours, those of the kept ones.",
        "The backward pass runs the plain loop again; the tiles are those of the forward pass.",
    ),
)


def _model(block: Part[Mixer]) -> Recipe:
    return language_model(dim=128, depth=2, blocks=(block,))


RECIPE = _model(part(RecurrentLayer, heads=4))
plain = (part(CausalAttention, heads=4), part(MLP, ratio=4, bias=False))
VARIANTS = {"recurrent-transformer-plain": _model(part(PreNorm, parts=plain))}
TRAIN = {"dim": 32, "model__backbone__depth": 1, "stages__0__train__batch": 64}
CLAIM = Claim(
    "one layer that reads its own outputs tracks parity over 24 bits better than a transformer layer with as many parameters",
    experiment="running_sum",
    against="recurrent-transformer-plain",
    metric="accuracy",
    better="higher",
    margin=0.02,
    settings={
        "length": 24,
        "modulus": 2,
        "easy": 4,
        "seeds": 5,
        "train": {**TRAIN, "stages__0__train__steps": 1000},
        "grid": {"stages__0__train__lr": (3e-3, 1e-2)},
        "live": {
            "length": 12,
            "train": {**TRAIN, "stages__0__train__steps": 150},
            "grid": {"stages__0__train__lr": (1e-2,)},
        },
    },
)
