"""Head pruning: attention heads whose masks hardly move the loss are cut out of a trained model, without retraining.

I_h = E_x |∂L(x)/∂ξ_h| with ξ_h a multiplier on head h's output; normalised by layer; the lowest go first. Removing a head slices
the projections: rows of W_q, W_k, W_v and columns of W_o.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.edit.head_pruning import HeadPruning
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="head-pruning-michel",
    title="Are Sixteen Heads Really Better than One?",
    kind="compression",
    arxiv="1905.10650",
    year=2019,
    modalities=("text", "any"),
    notes=(
        "The paper takes the absolute value for each example; the authors' code for each position, and divides the last layer by the "
        "number of examples instead of tokens. The converter does as the code does.",
        "Declined: a hidden_act other than gelu, relu and swish, and a layer_norm_eps other than 1e-12: the source has none; "
        "at_least_x_heads_per_layer above 1: a recorded choice protects one.",
    ),
)
block = part(PreNorm, parts=(part(CausalAttention, heads=8), part(SwiGLU)))
RECIPE = language_model(dim=128, depth=2, blocks=(block,)).but(edits=(HeadPruning(keep=0.5),))
CLAIM = Claim(
    "cutting the half of the heads that matters least costs less than cutting a random half",
    experiment="edit_order",
    against="random heads",
    metric="loss_increase",
    settings={
        "share": 0.5,
        "draws": 8,
        "context": 64,
        "calibration": 64,
        "judged": 50_000,
        "seeds": 5,
        "train": {"stages__0__train__steps": 1000, "stages__0__train__batch": 16, "stages__0__train__lr": 3e-3},
        "live": {
            "judged": 10_000,
            "train": {"stages__0__train__steps": 400, "stages__0__train__batch": 16, "stages__0__train__lr": 3e-3},
        },
    },
)
